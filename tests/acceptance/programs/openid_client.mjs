// A program with `openid-client` from npm, unmodified: the authorization code flow with PKCE, then a call of the API.
// Its first line of input is what it is told of the provider; it answers the address to send a browser to. Its second
// is where the browser was sent back to; it answers what it got. $NODE_FOLDER is where the library is.

import { createInterface } from "node:readline/promises";
import { pathToFileURL } from "node:url";

const client = await import(pathToFileURL(`${process.env.NODE_FOLDER}/node_modules/openid-client/build/index.js`));
const lines = createInterface({ input: process.stdin })[Symbol.asyncIterator]();
const next = async () => (await lines.next()).value;
const say = (told) => process.stdout.write(`${JSON.stringify(told)}\n`);

const told = JSON.parse(await next());
// JupyterHub has no discovery document, and neither have we: the metadata are set by hand.
const metadata = {
  issuer: told.origin,
  authorization_endpoint: `${told.origin}/hub/api/oauth2/authorize`,
  token_endpoint: `${told.origin}/hub/api/oauth2/token`,
};
const config = new client.Configuration(metadata, told.id, {}, client.ClientSecretPost(told.secret));
client.allowInsecureRequests(config);

const pkceCodeVerifier = client.randomPKCECodeVerifier();
const expectedState = client.randomState();
const address = client.buildAuthorizationUrl(config, {
  redirect_uri: told.callback,
  scope: told.scope,
  state: expectedState,
  code_challenge: await client.calculatePKCECodeChallenge(pkceCodeVerifier),
  code_challenge_method: "S256",
});
say({ address: address.href });

const tokens = await client.authorizationCodeGrant(config, new URL(await next()), { pkceCodeVerifier, expectedState });
const answer = await client.fetchProtectedResource(
  config, tokens.access_token, new URL(`${told.origin}/hub/api/user`), "GET",
);
say({ type: tokens.token_type, scope: tokens.scope, lasts: tokens.expires_in, user: await answer.json() });
process.exit(0);
