// Hono, like everything with fetch(request), is served through @hono/node-server.
import { Hono } from 'hono';

const app = new Hono();

app.get('/', (context) => context.text('Hello from Hono\n'));
app.get('/hello/:name', (context) => context.json({ hello: context.req.param('name') }));

export default app;
