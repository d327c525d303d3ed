// The web-standard shape that Deno, Bun and Cloudflare Workers share: no framework, no import.
export default {
  async fetch(request) {
    const { pathname } = new URL(request.url);
    if (request.method === 'POST') return Response.json({ received: await request.text() });
    return new Response(`You asked for ${pathname}\n`);
  },
};
