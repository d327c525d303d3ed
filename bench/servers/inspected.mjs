/** An app whose machine takes so many events a second, in each worker, and asks to be seen. */
import { assign, createActor, setup } from 'xstate';

const { inspect } = await import(process.env.BENCH_KIRIN);
const INTERVAL_MS = 1000 / Number(process.env.BENCH_EVENTS);

const ticker = setup({
  actions: { count: assign({ ticks: ({ context }) => context.ticks + 1 }) },
}).createMachine({
  id: 'ticker',
  initial: 'even',
  context: { ticks: 0 },
  states: {
    even: { on: { tick: { target: 'odd', actions: 'count' } } },
    odd: { on: { tick: { target: 'even', actions: 'count' } } },
  },
});
const actor = createActor(ticker, { inspect }).start();
setInterval(() => actor.send({ type: 'tick' }), INTERVAL_MS);

export default (_request, response) => response.end('ok');
