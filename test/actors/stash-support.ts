/** What tests of the stash share: values as readable text, and a simple packing of numbers. */

export const bytes = (value: string): Uint8Array => new Uint8Array(Buffer.from(value));

export const text = (value: Uint8Array | undefined): string | undefined =>
  value && Buffer.from(value).toString();

export const numbers = {
  pack: (value: number): Uint8Array => bytes(String(value)),
  unpack: (value: Uint8Array): number | undefined => {
    const read = text(value);
    return read && Number.isFinite(Number(read)) ? Number(read) : undefined;
  },
};
