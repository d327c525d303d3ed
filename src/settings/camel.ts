/** A name of a setting or a hook, as JavaScript writes it. */
export const camel = (name: string): string =>
  name.replace(/[_-]([a-z])/g, (_, letter: string) => letter.toUpperCase());
