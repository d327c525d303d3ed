/** The inspector's page: draws what the store says. Runs in the browser. */
import { render } from 'preact';
import { Store } from './store.ts';
import { App } from './views/app.tsx';
import { listenToKeys } from './views/keys.ts';

const root = document.querySelector('#app')!;
const store = new Store();
let drawn = 0;
store.start(() => render(<App store={store} drawn={++drawn} />, root));
listenToKeys(store);
document.addEventListener('dragover', (event) => event.preventDefault());
document.addEventListener('drop', (event) => {
  event.preventDefault();
  const file = event.dataTransfer?.files[0];
  if (file) void store.open(file);
});
