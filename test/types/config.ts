/** What `defineConfig` takes: compiled with the tests, never run. */
import { type Config, defineConfig } from '../../src/index.ts';

defineConfig({
  app: 'app.ts',
  workers: 'auto',
  max_requests: 100,
  gracefulTimeout: 10,
  max_surge: '25%',
  errorLogfile: '-',
  error_logfile: undefined,
  bind: [8000, 'unix:/x.sock'],
  rawEnv: { A: 'b' },
  dirtyWorkerInit: ({ resources }) => console.log(resources['gpu']),
  workerExit: ({ slot }) => console.log(slot.toFixed()),
  post_fork: ({ age }) => console.log(age.toFixed()),
  preExec: ({ pid }) => console.log(pid.toFixed()),
  dirty_worker_exit: async () => {},
});
defineConfig(() => ({ loglevel: 'debug' }));
defineConfig(async ({ app, options }) => ({
  logLevel: 'warn',
  workers: options.workers === 'auto' ? 2 : 1,
  app: app ?? 'app.ts',
}));

// @ts-expect-error: a slip of the fingers
defineConfig({ workers: 2, wrokers: 2 });
// @ts-expect-error: a wrong type
defineConfig({ workers: 'many' });
// @ts-expect-error: not one of these
const wrong: Config = { loglevel: 'loud' };
// @ts-expect-error: no such thing is given
defineConfig({ worker_exit: ({ requests }) => requests });
// @ts-expect-error: a hook is a function
const hook: Config = { dirtyWorkerInit: true };

export { hook, wrong };
