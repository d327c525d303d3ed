/** What tests of the stash share: values as readable text, and a simple packing of numbers. */

export const bytes = (value: string): Buffer => Buffer.from(value);

export const text = (value: Uint8Array | undefined): string | undefined =>
  value && Buffer.from(value).toString();

export const numbers = {
  pack: (value: number): Buffer => bytes(String(value)),
  unpack: (value: Uint8Array): number | undefined => {
    const read = text(value);
    return read && Number.isFinite(Number(read)) ? Number(read) : undefined;
  },
};
