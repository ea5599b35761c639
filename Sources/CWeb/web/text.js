// Numbers, times and names in words. The page speaks English.

const UNITS = ['bytes', 'kB', 'MB', 'GB', 'TB', 'PB'];

export function bytes(count) {
  if (count === null || count === undefined) return 'unknown';
  let unit = 0;
  let value = count;
  while (value >= 999.5 && unit < UNITS.length - 1) { value /= 1000; unit += 1; }
  return count === 1 ? '1 byte' : `${unit ? value.toPrecision(3) : Math.round(value)} ${UNITS[unit]}`;
}

export const number = count => count.toLocaleString('en');
export const plural = (count, one, many = `${one}s`) => `${number(count)} ${count === 1 ? one : many}`;

export function large(count) {
  for (const [size, name] of [[1e12, 'trillion'], [1e9, 'billion'], [1e6, 'million']]) {
    if (count >= size) return `${(count / size).toPrecision(3)} ${name}`;
  }
  return number(count);
}

export function duration(milliseconds) {
  const seconds = Math.max(0, milliseconds / 1000);
  if (seconds < 10) return `${seconds.toFixed(1)} s`;
  if (seconds < 60) return `${Math.round(seconds)} s`;
  const minutes = Math.floor(seconds / 60);
  if (minutes < 60) return `${minutes} min ${Math.round(seconds % 60)} s`;
  const hours = Math.floor(minutes / 60);
  return hours < 48 ? `${hours} h ${minutes % 60} min` : `${Math.floor(hours / 24)} days`;
}

export function ago(milliseconds) {
  const seconds = Math.max(0, milliseconds / 1000);
  for (const [from, size, unit] of [[172800, 86400, 'days'], [3600, 3600, 'h'], [60, 60, 'min'], [5, 1, 's']]) {
    if (seconds >= from) return `${Math.round(seconds / size)} ${unit} ago`;
  }
  return 'just now';
}

export const sum = (list, of = one => one) => list.reduce((all, one) => all + of(one), 0);
export const percent = (done, total) => (total > 0 ? Math.min(100, Math.floor(100 * done / total)) : null);

export const STATUS = {
  queued: ['○', 'waiting'], running: ['◐', 'running'], succeeded: ['✓', 'done'], failed: ['✕', 'failed'],
  cancelled: ['–', 'cancelled'],
};

export const PHASES = [
  ['fetching', 'Fetch'], ['planning', 'Plan'], ['converting', 'Convert'], ['verifying', 'Verify'],
  ['digesting', 'Digest'], ['publishing', 'Publish'],
];

const SIDES = { hf: 'Hugging Face', auto: 'Detected' };
// `Hugging Face` for hf, `Model Zoo 2.10` for cs-2.10.
export function formatName(format) {
  if (SIDES[format]) return SIDES[format];
  const release = /^cs-(\d+\.\d+)(.*)$/.exec(format);
  return release ? `Model Zoo ${release[1]}${release[2].replaceAll('-', ' ')}` : format;
}

// Which kind of tensor of a plan this is.
export const kindOf = tensor => (!tensor.sources.length ? 'new' : tensor.transform === 'copy' ? 'copied' : 'changed');

export const KINDS = {
  copied: 'copied bit for bit', changed: 'reshaped or computed', new: 'new, not in the source', dropped: 'dropped',
};
