// Tells the user of a server before its memory runs out: in JupyterLab and in Notebook.
//
// A module federation container written by hand, so that nothing has to be built: `init` takes the modules that
// JupyterLab shares, `get` answers the one module that is here. The server side is `singleuser/memory.py`.
(() => {
  'use strict';

  const NAME = '@perijove/memory';
  const SCHEMA = 'https://schemas.perijove.org/memory/v1';

  let shared = {};

  const load = async (name) => {
    const versions = Object.values(shared[name] ?? {});
    const version = versions.find((found) => found.loaded) ?? versions[0];
    const factory = await version.get();
    return factory();
  };

  class Warning {
    constructor(Notification) {
      this.notification = Notification;
      this.id = null; // of the one that is shown
    }

    show(state) {
      if (this.id !== null) {
        this.notification.dismiss(this.id);
        this.id = null;
      }
      if (state.warn) {
        this.id = this.notification.emit(state.message, 'warning', { autoClose: false });
      }
    }
  }

  const activate = async (app) => {
    const { Notification } = await load('@jupyterlab/apputils');
    const { ServerConnection } = await load('@jupyterlab/services');
    const settings = app.serviceManager.serverSettings;
    const warning = new Warning(Notification);
    // What happens from now on is told by the server; what has happened already must be asked for.
    app.serviceManager.events.stream.connect((_, event) => {
      if (event.schema_id === SCHEMA) {
        warning.show(event);
      }
    });
    const answer = await ServerConnection.makeRequest(`${settings.baseUrl}perijove/memory`, {}, settings);
    if (answer.ok) {
      warning.show(await answer.json());
    }
  };

  const plugin = {
    id: `${NAME}:plugin`,
    description: 'Tells the user before memory runs out.',
    autoStart: true,
    activate: (app) => {
      // Not awaited: JupyterLab starts without waiting for this.
      activate(app).catch((error) => console.error(NAME, error));
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
