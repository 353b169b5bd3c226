// Tells the user of a server before it is stopped, and asks for more time: in JupyterLab and in Notebook.
//
// A module federation container written by hand, so that nothing has to be built: `init` takes the modules that
// JupyterLab shares, `get` answers the one module that is here. The server side is `singleuser/stopping.py`.
(() => {
  'use strict';

  const NAME = '@perijove/stopping';
  const RETRY_SECONDS = 30;
  const STOPPED = 424;

  let shared = {};

  const load = async (name) => {
    const versions = Object.values(shared[name] ?? {});
    const version = versions.find((found) => found.loaded) ?? versions[0];
    const factory = await version.get();
    return factory();
  };

  const clock = (iso) => new Date(iso).toLocaleTimeString([], { hour: '2-digit', minute: '2-digit' });

  class Watch {
    constructor({ Notification, ServerConnection, settings }) {
      this.notification = Notification;
      this.connection = ServerConnection;
      this.settings = settings;
      this.id = null; // of the warning that is shown
      this.end = null; // what that warning says
      this.timer = null;
    }

    async ask(path, init = {}) {
      return this.connection.makeRequest(`${this.settings.baseUrl}perijove/${path}`, init, this.settings);
    }

    // Look now, and again when the server says that it makes sense.
    async look() {
      window.clearTimeout(this.timer);
      let seconds = RETRY_SECONDS;
      try {
        const answer = await this.ask('stopping');
        if (answer.status === STOPPED) {
          this.tellStopped();
          return;
        }
        if (answer.ok) {
          const state = await answer.json();
          this.show(state);
          seconds = state.ask_again_seconds;
        }
      } catch (error) {
        // The connection is gone; JupyterLab says so itself.
        console.debug(NAME, error);
      }
      window.clearTimeout(this.timer);
      this.timer = window.setTimeout(() => void this.look(), seconds * 1000);
    }

    show(state) {
      if (!state.warn) {
        this.withdraw();
        return;
      }
      if (this.end?.stop_at === state.stop_at && this.end.may_be_put_off === state.may_be_put_off) {
        return; // also if the user has closed it
      }
      this.withdraw();
      this.end = state;
      const message = `This server will be stopped at ${clock(state.stop_at)} because ${state.because}.`;
      const keep = {
        label: 'Keep it',
        caption: 'Give this server more time',
        displayType: 'accent',
        callback: () => void this.keep(),
      };
      const actions = state.may_be_put_off ? [keep] : [];
      this.id = this.notification.emit(message, 'warning', { autoClose: false, actions });
    }

    withdraw() {
      if (this.id !== null) {
        this.notification.dismiss(this.id);
      }
      this.id = null;
      this.end = null;
    }

    async keep() {
      let state = null;
      try {
        const answer = await this.ask('keep', { method: 'POST', body: '{}' });
        state = answer.ok ? await answer.json() : null;
      } catch (error) {
        console.warn(NAME, error);
      }
      if (state === null) {
        this.end = null; // so that the warning comes back with its button
        this.notification.emit('This server could not be kept: the hub does not answer.', 'error', { autoClose: 5000 });
      } else {
        this.show(state);
        const until = state.kept_until ? ` until ${clock(state.kept_until)}` : '';
        this.notification.emit(`This server is kept${until}.`, 'success', { autoClose: 5000 });
      }
      void this.look();
    }

    tellStopped() {
      if (this.end === null) {
        return; // stopped by its user
      }
      const message = `This server was stopped because ${this.end.because}. Your files are safe.`;
      this.withdraw();
      // JupyterLab itself offers to start it again, in a dialog over everything.
      this.notification.emit(message, 'info', { autoClose: false });
    }
  }

  const activate = async (app) => {
    const { Notification } = await load('@jupyterlab/apputils');
    const { ServerConnection } = await load('@jupyterlab/services');
    const watch = new Watch({ Notification, ServerConnection, settings: app.serviceManager.serverSettings });
    document.addEventListener('visibilitychange', () => {
      if (!document.hidden) {
        void watch.look(); // timers of a tab in the background are slow
      }
    });
    void watch.look();
  };

  const plugin = {
    id: `${NAME}:plugin`,
    description: 'Tells the user before the server is stopped.',
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
