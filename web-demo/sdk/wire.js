// Frames without a lost digit: a counter has 64 bits, a JavaScript number is exact to 53. Pure.

import { ChatError, WRONG_FIELD } from './names.js';

const TOKEN = /"[^"\\]*(?:\\.[^"\\]*)*"(\s*:)?|-?\d[\d.eE+-]*/g;
const LONG = /^-?[1-9]\d{15,}$/;
const FRAME_BYTES_MAX = 32_768;

/** As JSON.parse, but an integer that a number cannot hold becomes a bigint. */
export function parse(text) {
  if (!/\d{16}/.test(text)) return JSON.parse(text);
  // Each string gets a mark, as each long integer does: no text can pass for a number.
  const marked = text.replace(TOKEN, (token, name) => {
    if (name !== undefined) return token;
    if (token[0] === '"') return `"s${token.slice(1)}`;
    return LONG.test(token) ? `"i${token}"` : token;
  });
  return JSON.parse(marked, (_, value) => {
    if (typeof value !== 'string') return value;
    const rest = value.slice(1);
    if (value[0] === 's') return rest;
    return Number.isSafeInteger(+rest) ? +rest : BigInt(rest);
  });
}

/** The text of a frame. A bigint goes as a string of digits, which the gateway reads as the integer it is. */
export function write(frame) {
  const text = JSON.stringify(frame, (_, value) => (typeof value === 'bigint' ? String(value) : value));
  // The gateway would end the connection over it, and each repeat would end the next one.
  if (new Blob([text]).size > FRAME_BYTES_MAX) throw new ChatError(WRONG_FIELD, 'A call may have 32 KiB.');
  return text;
}

/** Throws 10004 where the value is no text. */
export function needed(value, name) {
  if (typeof value !== 'string') throw new ChatError(WRONG_FIELD, `${name} must be text.`);
}

/** The value itself where it is an exact integer of 64 bits; throws 10004 otherwise. */
export function integer(value, name) {
  if (Number.isSafeInteger(value) || (typeof value === 'bigint' && BigInt.asIntN(64, value) === value)) return value;
  throw new ChatError(WRONG_FIELD, `${name} must be an integer of 64 bits; beyond 2^53 a bigint.`);
}

/** The same data with its counters as the app wants to see them. What a number cannot hold is infinite, and told to `unfit(value)`. */
export function shown(data, kind, unfit) {
  const as = (value) => {
    if (kind === 'bigint') return BigInt(value);
    if (kind !== 'number' || typeof value !== 'bigint') return value;
    unfit(value);
    return value < 0 ? -Infinity : Infinity;
  };
  if ('value' in data) return { ...data, value: as(data.value) };
  if (data.counters) return { ...data, counters: Object.fromEntries(Object.entries(data.counters).map(([key, value]) => [key, as(value)])) };
  return data;
}
