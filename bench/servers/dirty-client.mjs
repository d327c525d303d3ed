// What a caller of dirty apps is made of, as one bundle.
export { DirtyClient } from '../../src/actors/dirty/client.ts';
export { connectChannel } from '../../src/actors/dirty/socket-channel.ts';
