// Koa: export the application; Kirin takes its callback().
import Koa from 'koa';

const app = new Koa();

app.use(async (context, next) => {
  const start = performance.now();
  await next();
  context.set('X-Response-Time-Ms', String(Math.round(performance.now() - start)));
});

app.use((context) => {
  context.body = 'Hello from Koa\n';
});

export default app;
