import { h } from './dom.js';

// The REST API, and nothing else of the service.

let token = '';
try { token = sessionStorage.getItem('zooport-token') ?? ''; } catch { /* Memory will do. */ }
let offset = 0;

// Told when the service asks for a token, with what it said.
export const onAccess = { handler: () => {} };

export const hasToken = () => token !== '';
// Takes a token for this tab; it is in no address, and gone with the tab.
export function setToken(text) {
  token = text.trim();
  try {
    if (token) sessionStorage.setItem('zooport-token', token); else sessionStorage.removeItem('zooport-token');
  } catch { /* Memory will do. */ }
}

export const now = () => Date.now() + offset;
export const since = time => now() - Date.parse(time);

export class Problem extends Error {
  constructor(status, document, retryAfter) {
    super(document.detail ?? 'the service gave no reason');
    Object.assign(this, { status, code: document.code ?? '', title: document.title, diagnostics: document.diagnostics ?? [], retryAfter });
  }
}

export const headers = extra => ({ ...(token ? { Authorization: `Bearer ${token}` } : {}), ...extra });

// Sends a request. Throws `Problem` for every answer that is no success, and for none.
export async function request(method, path, { json, headers: extra, signal, accept = [] } = {}) {
  let answer;
  try {
    answer = await fetch(path, {
      method, signal, cache: 'no-store', credentials: 'omit', redirect: 'error',
      headers: headers({ ...(json === undefined ? {} : { 'Content-Type': 'application/json' }), ...extra }),
      body: json === undefined ? undefined : JSON.stringify(json),
    });
  } catch (error) {
    if (error.name === 'AbortError') throw error;
    throw new Problem(0, { title: 'No connection', detail: 'the service cannot be reached; trying again may help' });
  }
  const date = Date.parse(answer.headers.get('Date') ?? '');
  if (date) offset = Math.abs(date - Date.now()) > 2000 ? date - Date.now() : 0;
  if (answer.ok || accept.includes(answer.status)) return answer;
  throw await problem(answer);
}

// What an answer that is no success says.
export async function problem(answer) {
  const document = await answer.json().catch(() => ({ title: answer.statusText, detail: `the service answered ${answer.status}` }));
  const error = new Problem(answer.status, document, Number(answer.headers.get('Retry-After')) || null);
  if (answer.status === 401) onAccess.handler(error);
  return error;
}

export const get = async (path, options) => (await request('GET', path, options)).json();
export const post = async (path, json, options) => (await request('POST', path, { json, ...options })).json();

// Who asks, and what that lets them do; nothing until the service has said so.
export const caller = { me: null };
export const askCaller = async () => { caller.me = await get('/v1/me'); };
export const maySubmit = () => !caller.me || ['submit', 'admin'].some(scope => caller.me.scopes.includes(scope));

export const pause = (time, signal) => new Promise(resolve => {
  const timer = setTimeout(resolve, time);
  signal?.addEventListener('abort', () => { clearTimeout(timer); resolve(); });
});

// Follows a job to its end. EventSource sends no header, so the stream is read here; one that breaks is opened again.
export async function follow(id, show, signal) {
  let last;
  while (!signal.aborted) {
    try {
      const answer = await request('GET', `/v1/jobs/${id}/events`, { signal, headers: last ? { 'Last-Event-ID': last } : {} });
      if (answer.status === 204) return;
      const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
      let text = '';
      for (;;) {
        const { value, done } = await reader.read();
        if (done) break;
        text += value;
        let end;
        while ((end = text.indexOf('\n\n')) >= 0) {
          const event = text.slice(0, end);
          text = text.slice(end + 2);
          const [id, data] = [/^id: (.*)/m, /^data: (.*)/m].map(field => field.exec(event)?.[1]);
          last = id ?? last;
          if (!data) continue;
          const job = JSON.parse(data);
          show(job);
          if (job.finished_at) return;
        }
      }
    } catch (error) {
      if (signal.aborted) return;
      if ([401, 403, 404].includes(error.status)) throw error;
    }
    await pause(1000, signal);
  }
}

// Saves an output: a link that needs no token, and a plain navigation, so that the browser stores what it gets.
export async function download(path) {
  h('a', { href: (await post(`${path}/links`)).url, download: '' }).click();
}

// A text for `Idempotency-Key`. `randomUUID` is not there on plain http.
export const newKey = () => Array.from(crypto.getRandomValues(new Uint8Array(16)), byte => byte.toString(16).padStart(2, '0')).join('');

export const outputPath = (job, name) => `/v1/jobs/${job.id}/outputs/${name.split('/').map(encodeURIComponent).join('/')}`;
