/**
 * What one command needs, and all that is read before it is sent. The parts that are loaded late import it from here,
 * and only from here: in the package this is the entry file, which is so of one piece, and each class exists once.
 */
export * from '../../actors/control/grammar.ts';
export * from '../../actors/control/words.ts';
export * from './client.ts';
export * from './commands.ts';
export * from './data.ts';
export * from './errors.ts';
export * from './execute.ts';
export * from './format.ts';
export * from './format-own.ts';
export * from './format-stock.ts';
export * from './interrupt.ts';
export * from './output.ts';
export * from './session.ts';
export * from './text.ts';
