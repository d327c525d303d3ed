/** Patterns of `--reload-extra-file`. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { filePattern } from '../../src/actors/development/file-pattern.ts';

const cases: [pattern: string, base: string, yes: string[], no: string[]][] = [
  ['/a/b.txt', '/a', ['/a/b.txt'], ['/a/b.txt2', '/a/c', '/b.txt', '/a/b.txt/c']],
  ['/a/*.html', '/a', ['/a/x.html', '/a/.html'], ['/a/b/x.html', '/a/xhtml', '/ax.html']],
  ['/a/**/*.html', '/a', ['/a/x.html', '/a/b/c/x.html'], ['/a/b/c/x.txt', '/x.html']],
  ['/a/**', '/a', ['/a/x', '/a/b/c'], ['/b/x']],
  ['/a/*/v?.sql', '/a', ['/a/b/v1.sql'], ['/a/v1.sql', '/a/b/v12.sql', '/a/b/c/v1.sql']],
  ['/a/(b)+[c].$x^', '/a', ['/a/(b)+[c].$x^'], ['/a/(b)+c.$x^']],
  ['/*.txt', '/', ['/x.txt'], ['/a/x.txt']],
];
for (const [pattern, base, yes, no] of cases)
  test(pattern, () => {
    const one = filePattern(pattern);
    assert.equal(one.base, base);
    for (const path of yes) assert.ok(one.matches(path), path);
    for (const path of no) assert.ok(!one.matches(path), path);
  });

test('directories are entered where something in them may match, but those of packages', () => {
  const deep = filePattern('/a/**/*.html');
  assert.ok(deep.enters('/a/b/c'));
  assert.ok(!deep.enters('/a/node_modules'));
  assert.ok(!deep.enters('/a/b/.git/c'));
  assert.ok(!deep.enters('/b'));
  const flat = filePattern('/a/*.html');
  assert.ok(!flat.enters('/a/b'));
  const two = filePattern('/a/v*/x/*.html');
  assert.ok(two.enters('/a/v1') && two.enters('/a/v1/x'));
  assert.ok(!two.enters('/a/w') && !two.enters('/a/v1/y'));
});
