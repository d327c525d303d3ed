/** A test of types, run by the compiler: a handle has the actions of its app, and nothing else. */

import { DirtyApp } from '../../src/actors/dirty/app.ts';
import type { AppHandle } from '../../src/actors/dirty/types.ts';

class Model extends DirtyApp {
  weights = [1];
  override async init() {}
  predict(input: { text: string }): number {
    return input.text.length;
  }
  async later(id: number, hint?: string): Promise<{ id: number; hint: string | undefined }> {
    return { id, hint };
  }
  async *tokens(prompt: string): AsyncGenerator<string> {
    yield prompt;
  }
  *numbers(): Generator<number> {
    yield 1;
  }
  _secret(): number {
    return 1;
  }
  get ready(): boolean {
    return true;
  }
}

type Same<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false;
const same = <A, B>(_: Same<A, B>): void => {};

declare const model: AppHandle<typeof Model>;

export const use = () => {
  same<ReturnType<typeof model.predict>, Promise<number>>(true);
  same<Parameters<typeof model.predict>, [input: { text: string }]>(true);
  same<ReturnType<typeof model.later>, Promise<{ id: number; hint: string | undefined }>>(true);
  same<ReturnType<typeof model.tokens>, AsyncIterable<string>>(true);
  same<ReturnType<typeof model.numbers>, AsyncIterable<number>>(true);
  same<keyof AppHandle<typeof Model>, 'predict' | 'later' | 'tokens' | 'numbers' | 'with'>(true);
  same<ReturnType<typeof model.with>, AppHandle<typeof Model>>(true);

  // @ts-expect-error a wrong argument
  model.predict(1);
  // @ts-expect-error an argument too few
  model.later();
  // @ts-expect-error a name that begins with _ cannot be called
  model._secret();
  // @ts-expect-error init cannot be called
  model.init();
  // @ts-expect-error close cannot be called
  model.close();
  // @ts-expect-error a getter is no action
  model.ready;
  // @ts-expect-error a field is no action
  model.weights;
  // @ts-expect-error what is known of the call is no action
  model.call;
  // @ts-expect-error an option that there is not
  model.with({ timeout: 1 });
};
