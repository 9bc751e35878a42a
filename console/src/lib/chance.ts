// Fresh ids. `crypto.randomUUID` is for secure pages alone, and a console may come by plain HTTP within a house.

/** 128 random bits as 32 hexadecimal digits. */
export function freshHex(): string {
  return [...crypto.getRandomValues(new Uint8Array(16))].map((byte) => byte.toString(16).padStart(2, '0')).join('');
}
