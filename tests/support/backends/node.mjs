// Node's http server, which is configurable-http-proxy's own.
import http from "node:http";

const seen = [];

const server = http.createServer({ maxHeaderSize: 256 * 1024 }, (request, response) => {
  const parts = [];
  request.on("data", (part) => parts.push(part));
  request.on("end", () => {
    if (request.url === "/seen") {
      response.end(JSON.stringify(seen));
      return;
    }
    const fields = [];
    for (let place = 0; place < request.rawHeaders.length; place += 2) {
      fields.push([request.rawHeaders[place].toLowerCase(), request.rawHeaders[place + 1]]);
    }
    const body = Buffer.concat(parts).toString("latin1");
    seen.push({ method: request.method, target: request.url, fields, body });
    response.end("ok");
  });
  request.on("error", () => {});
});
server.listen(0, "127.0.0.1", () => console.log(server.address().port));
