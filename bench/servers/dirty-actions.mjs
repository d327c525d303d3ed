// What all peers of the dirty benchmark run, so that only the way to it differs.
export const actions = {
  noop: () => 1,
  echo: (value) => value,
  /** Blocks its process, as a computation does. */
  block(ms) {
    const untilMs = performance.now() + ms;
    while (performance.now() < untilMs);
    return ms;
  },
  *chunks(count) {
    for (let index = 0; index < count; index++) yield { index, token: 'word' };
  },
};
