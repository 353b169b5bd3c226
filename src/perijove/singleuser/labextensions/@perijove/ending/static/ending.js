// Says why a kernel died: in JupyterLab and in Notebook.
//
// JupyterLab's own dialog says that the kernel "appears to have died". The server knows more
// (`singleuser/kernels/handlers.py`), so the dialog is given its words.
//
// A module federation container written by hand, as in `../stopping`.
(() => {
  'use strict';

  const NAME = '@perijove/ending';
  // JupyterLab opens its dialog when it hears of the death, as we do: one of us is first.
  const LOOKS = 40;
  const PAUSE = 50;

  let shared = {};

  const load = async (name) => {
    const versions = Object.values(shared[name] ?? {});
    const version = versions.find((found) => found.loaded) ?? versions[0];
    const factory = await version.get();
    return factory();
  };

  const pause = (milliseconds) => new Promise((done) => window.setTimeout(done, milliseconds));

  const endOf = async (settings, kernel) => {
    const { ServerConnection } = await load('@jupyterlab/services');
    const url = `${settings.baseUrl}perijove/kernels/${encodeURIComponent(kernel)}/end`;
    const answer = await ServerConnection.makeRequest(url, {}, settings);
    return answer.ok ? answer.json() : null;
  };

  // The open dialog that names the notebook: in whatever language, it has the path in it.
  const dialogAbout = async (path) => {
    for (let look = 0; look < LOOKS; look++) {
      const bodies = [...document.querySelectorAll('.jp-Dialog .jp-Dialog-body')];
      const body = bodies.find((found) => found.textContent.includes(path));
      if (body) {
        return body;
      }
      await pause(PAUSE);
    }
    return null;
  };

  const tell = async (settings, path, kernel, restarts) => {
    const end = await endOf(settings, kernel);
    if (end === null) {
      return; // JupyterLab's words are all there is to say
    }
    const then = restarts ? 'It is started again; what was in its memory is lost.' : 'It is not started again.';
    const text = `The kernel for ${path} has died. ${end.message} ${then}`;
    const body = restarts ? await dialogAbout(path) : null;
    if (body !== null) {
      body.textContent = text;
      body.dataset.reason = end.reason;
      return;
    }
    const { Notification } = await load('@jupyterlab/apputils');
    Notification.emit(text, 'error', { autoClose: false });
  };

  const watch = (settings, context) => {
    const session = context.sessionContext;
    let last = '';
    session.statusChanged.connect((_, status) => {
      const before = last;
      last = status;
      const kernel = session.session?.kernel?.id;
      if (status === before || kernel === undefined || (status !== 'autorestarting' && status !== 'dead')) {
        return;
      }
      const path = session.session.path;
      tell(settings, path, kernel, status === 'autorestarting').catch((error) => console.error(NAME, error));
    });
  };

  const plugin = {
    id: `${NAME}:plugin`,
    description: 'Says why a kernel died.',
    autoStart: true,
    activate: (app) => {
      // At once, so that no notebook is opened before.
      app.docRegistry.addWidgetExtension('Notebook', {
        createNew: (_, context) => watch(app.serviceManager.serverSettings, context),
      });
    },
  };

  window._JUPYTERLAB = window._JUPYTERLAB ?? {};
  window._JUPYTERLAB[NAME] = {
    init: (scope) => {
      shared = scope;
    },
    get: async (module) => {
      if (module !== './extension') {
        throw new Error(`${NAME} has no module ${module}`);
      }
      return () => ({ __esModule: true, default: plugin });
    },
  };
})();
