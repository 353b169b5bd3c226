// Shows a visitor whose server this is and what they may do here: in JupyterLab and in Notebook.
//
// What a visitor may not do is refused by the server (`singleuser/authorizer.py`). This only keeps JupyterLab from
// trying: it would start a kernel for every notebook that is opened, and show an error for each.
//
// A module federation container written by hand, as in `../stopping`.
(() => {
  'use strict';

  const NAME = '@perijove/visiting';
  const WORDS = {
    read: 'you may look',
    write: 'you may look and save files',
    execute: 'you may do everything',
  };
  const TITLES = {
    read: 'You may look at files and results here, and watch kernels. Nothing can be changed or run.',
    write: 'You may look at files here and change them, and watch kernels. No code can be run.',
    execute: 'You may do everything here that its owner may.',
  };

  let shared = {};

  const load = async (name) => {
    const versions = Object.values(shared[name] ?? {});
    const version = versions.find((found) => found.loaded) ?? versions[0];
    const factory = await version.get();
    return factory();
  };

  // The page's own configuration: read at once, before any notebook is opened.
  const pageConfig = () => {
    const element = document.getElementById('jupyter-config-data');
    return element === null ? {} : JSON.parse(element.textContent);
  };

  const startNoKernels = (app) => {
    const registry = app.docRegistry;
    const preferenceOf = registry.getKernelPreference.bind(registry);
    registry.getKernelPreference = (...given) => {
      const preference = preferenceOf(...given);
      // A kernel that runs already is watched all the same.
      return preference && { ...preference, shouldStart: false, canStart: false, autoStartDefault: false };
    };
  };

  const showBanner = async (app, owner, right) => {
    const { Widget } = await load('@lumino/widgets');
    const widget = new Widget();
    widget.id = 'perijove-visiting';
    widget.node.setAttribute('role', 'note');
    widget.node.title = TITLES[right];
    widget.node.textContent = `Server of ${owner} · ${WORDS[right]}`;
    Object.assign(widget.node.style, {
      alignSelf: 'center',
      flex: '0 0 auto',
      padding: '0 10px',
      margin: '0 8px',
      borderRadius: '10px',
      whiteSpace: 'nowrap',
      fontSize: 'var(--jp-ui-font-size1)',
      lineHeight: '20px',
      color: 'var(--jp-ui-font-color0)',
      background: 'var(--jp-layout-color3)',
    });
    app.shell.add(widget, 'top', { rank: 990 });
  };

  const plugin = {
    id: `${NAME}:plugin`,
    description: 'Shows a visitor whose server this is and what they may do here.',
    autoStart: true,
    activate: (app) => {
      const { hubUser, hubServerUser, perijoveRights } = pageConfig();
      const right = (perijoveRights ?? '').split(' ').pop();
      if (!(right in WORDS) || (hubUser === hubServerUser && right === 'execute')) {
        return; // at home
      }
      if (right !== 'execute') {
        startNoKernels(app);
      }
      // Not awaited: JupyterLab starts without waiting for this.
      showBanner(app, hubServerUser, right).catch((error) => console.error(NAME, error));
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
