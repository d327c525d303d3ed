/** What lies over the page: the keys, the question before a kill, and what became of orders. Runs in the browser. */
import { useEffect, useRef } from 'preact/hooks';
import { outcomeOf } from '../model/answers.ts';
import { SIGNS } from '../model/states.ts';
import type { Order } from '../orders.ts';
import type { Store } from '../store.ts';
import type { Props } from './app.tsx';
import { KEYS } from './keys.ts';

function Modal({
  title,
  close,
  children,
}: {
  title: string;
  close: () => void;
  children: preact.ComponentChildren;
}) {
  const dialog = useRef<HTMLDialogElement>(null);
  useEffect(() => dialog.current?.showModal(), []);
  return (
    <dialog
      ref={dialog}
      aria-label={title}
      onCancel={(event) => {
        event.preventDefault();
        close();
      }}
    >
      <h2>{title}</h2>
      {children}
    </dialog>
  );
}

function Help({ store }: { store: Store }) {
  const close = () => store.set({ help: false });
  return (
    <Modal title="Keys" close={close}>
      <dl class="keys">
        {KEYS.map(([key, text]) => (
          <div key={key}>
            <dt>
              <kbd>{key}</kbd>
            </dt>
            <dd>{text}</dd>
          </div>
        ))}
      </dl>
      <button type="button" class="button" onClick={close}>
        Close
      </button>
    </Modal>
  );
}

function AskKill({
  store,
  asking: { pid, title },
}: {
  store: Store;
  asking: { pid: number; title: string };
}) {
  const close = () => store.set({ asking: null });
  const kill = (words: string[]) => {
    store.set({ asking: null });
    store.order(words);
  };
  return (
    <Modal title={`End ${title}?`} close={close}>
      <p>Pid {pid}. It finishes what is in flight, or is cut at once; another takes its place.</p>
      <div class="choices">
        <button type="button" class="button" onClick={close}>
          Leave it
        </button>
        <button type="button" class="button danger" onClick={() => kill(['worker', 'kill', String(pid)])}>
          Let it drain
        </button>
        <button
          type="button"
          class="button danger"
          onClick={() => kill(['worker', 'kill', String(pid), 'quick'])}
        >
          Cut it now
        </button>
      </div>
    </Modal>
  );
}

function OrderLine({ order, store }: { order: Order; store: Store }) {
  const outcome = order.answer ? outcomeOf(order.answer) : undefined;
  const tone = !outcome ? 'booting' : outcome.done ? 'ready' : 'failed';
  return (
    <li class={`order tone-${tone}`}>
      <span class="sign" aria-hidden="true">
        {SIGNS[tone]}
      </span>
      <code>{order.words.filter((word) => word !== '--wait').join(' ')}</code>
      <span class="order-answer">{outcome?.text ?? 'pending…'}</span>
      <button type="button" class="quiet" aria-label="Dismiss" onClick={() => store.orders.dismiss(order.id)}>
        ×
      </button>
    </li>
  );
}

export function Dialogs({ store }: Props) {
  return (
    <>
      <ul class="orders" aria-live="polite" aria-label="Orders">
        {store.notice && (
          <li class="order">
            <span class="order-answer">{store.notice}</span>
            <button
              type="button"
              class="quiet"
              aria-label="Dismiss"
              onClick={() => store.set({ notice: null })}
            >
              ×
            </button>
          </li>
        )}
        {store.orders.list.map((order) => (
          <OrderLine key={order.id} order={order} store={store} />
        ))}
      </ul>
      {store.help && <Help store={store} />}
      {store.asking && <AskKill store={store} asking={store.asking} />}
    </>
  );
}
