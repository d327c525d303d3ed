// Fastify: export the instance; Kirin waits until it is ready(), and calls its close() after the last answer.
import Fastify from 'fastify';

const app = Fastify();

app.get('/', async () => 'Hello from Fastify\n');

app.get('/hello/:name', async (request) => ({ hello: request.params.name }));

app.addHook('onClose', async () => {
  console.log('Fastify is closed');
});

export default app;
