// What the recorded runs serve: an answer at once, one that ends when its worker leaves, none at all, and one streamed by a dirty worker.
import { DirtyApp, dirty, onDrain } from '../../../index.ts';

export class Counter extends DirtyApp {
  *count(to) {
    for (let number = 1; number <= to; number++) yield `${number}\n`;
  }
}

const leaving = new Promise((resolve) => onDrain(resolve));

export default async (request, response) => {
  if (request.url === '/hang') for (;;);
  if (request.url === '/slow') {
    response.flushHeaders();
    await leaving;
  }
  if (request.url === '/stream')
    for await (const line of dirty.stream('./app.mjs:Counter', 'count', 3)) response.write(line);
  response.end('done\n');
};
