// Reading and writing frames without losing a digit. A counter is a signed 64-bit integer; a JavaScript number rounds beyond 2^53.

const TOKEN = /"[^"\\]*(?:\\.[^"\\]*)*"(\s*:)?|-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?/g;

/**
 * Parses JSON as JSON.parse does, but an integer too long for a number becomes a BigInt with all its digits.
 * Throws a SyntaxError where JSON.parse would.
 */
export function parseExact(text) {
  if (!/\d{16}/.test(text)) return JSON.parse(text);
  // Every string is marked as well as every long integer, so that no text can pass for a number.
  const marked = text.replace(TOKEN, (token, isName) => {
    if (isName !== undefined) return token;
    if (token[0] === '"') return `"s${token.slice(1)}`;
    return isLongInteger(token) ? `"i${token}"` : token;
  });
  return JSON.parse(marked, (_name, value) => {
    if (typeof value !== 'string') return value;
    return value[0] === 'i' ? shortest(value.slice(1)) : value.slice(1);
  });
}

/** Writes a frame of plain values as JSON.stringify does, and a BigInt with all its digits. */
export function writeExact(value) {
  if (typeof value === 'bigint') return String(value);
  if (typeof value !== 'object' || value === null) return JSON.stringify(value);
  if (Array.isArray(value)) return `[${value.map(writeExact)}]`;
  const fields = Object.entries(value).filter(([, field]) => field !== undefined);
  return `{${fields.map(([name, field]) => `${JSON.stringify(name)}:${writeExact(field)}`)}}`;
}

/** What a frame may show to a reader: the same frame, with the signature hidden. */
export function masked(frame) {
  return writeExact('userSig' in frame ? { ...frame, userSig: '•••' } : frame);
}

function isLongInteger(token) {
  // A leading zero is not JSON: such a token stays as it is, for JSON.parse to refuse.
  return token.length > 15 && /^-?[1-9]\d*$/.test(token);
}

function shortest(digits) {
  const number = Number(digits);
  return Number.isSafeInteger(number) ? number : BigInt(digits);
}
