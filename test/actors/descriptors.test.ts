import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { DescriptorWatch, isExhausted } from '../../src/actors/descriptors.ts';

describe('descriptors', () => {
  test('that run out are told once, and once more when they have been there for a while', () => {
    const told: string[] = [];
    let code: string | undefined;
    const watch = new DescriptorWatch(
      (state) => told.push(state),
      () => {
        if (code) throw Object.assign(new Error('cannot open'), { code });
      },
    );
    const look = (times: number): void => {
      for (let n = 0; n < times; n++) watch.look();
    };
    look(20);
    code = 'ENOENT';
    look(20);
    assert.deepEqual(told, []);
    code = 'EMFILE';
    look(20);
    assert.deepEqual(told, ['exhausted']);
    // A moment of room between is no news.
    code = undefined;
    look(9);
    code = 'ENFILE';
    look(1);
    code = undefined;
    look(9);
    assert.deepEqual(told, ['exhausted']);
    look(20);
    assert.deepEqual(told, ['exhausted', 'free']);
  });

  test('are known by their errors', () => {
    assert.ok(isExhausted({ code: 'EMFILE' }));
    assert.ok(isExhausted({ code: 'ENFILE' }));
    for (const other of [undefined, null, 'EMFILE', { code: 'ENOENT' }, new Error('EMFILE')])
      assert.ok(!isExhausted(other));
  });
});
