import { Problem, headers, pause, problem, request } from './api.js';
import { memory } from './dom.js';

// Uploads by tus 1.0. They go on after a lost connection, a restart of the service, and a page that was loaded again.

// Bytes of one request. A slice that is cut off is sent again as a whole, since its checksum covers all of it.
const SLICE = 32 << 20;
const PATIENCE = 20;
const TUS = { 'Tus-Resumable': '1.0.0' };
const PASSING = new Set([0, 408, 409, 423, 425, 429, 460, 500, 502, 503, 504]);
// What programs are told, for people.
const WORDS = { locked: 'another tab or program is sending this file; it goes on when that ends', checksum_mismatch: 'a part arrived damaged; it is sent again' };

const base64 = bytes => {
  let text = '';
  for (const byte of new Uint8Array(bytes)) text += String.fromCharCode(byte);
  return btoa(text);
};

const turns = { free: 2, waiting: [] };
const take = () => (turns.free > 0 ? (turns.free -= 1, Promise.resolve()) : new Promise(resolve => turns.waiting.push(resolve)));
const give = () => { const next = turns.waiting.shift(); if (next) next(); else turns.free += 1; };

// One file on its way to the service. `changed` is called whenever something is to be shown.
export class Upload {
  constructor(file, name, changed) {
    Object.assign(this, { file, name, changed, state: 'waiting', sent: 0, rate: 0, error: null, id: null });
    this.key = `upload ${name} ${file.size} ${file.lastModified}`;
    this.address = memory.get(this.key);
  }

  get size() { return this.file.size; }

  async start() {
    if (this.state === 'sending' || this.state === 'done') return;
    this.set('waiting', null);
    const stop = this.stop = new AbortController();
    await take();
    try {
      if (stop.signal.aborted) return;
      this.set('sending');
      await this.send(stop.signal);
      this.id = this.address.split('/').pop();
      this.set('done');
    } catch (error) {
      if (!stop.signal.aborted) this.set('failed', error);
    } finally {
      give();
    }
  }

  pause() { this.stop?.abort(); if (this.state !== 'done') this.set('paused'); }

  // Ends the upload and takes back what an unfinished one has left with the service.
  async remove() {
    this.stop?.abort();
    this.state = 'removed';
    if (this.address && !this.id) {
      memory.set(this.key, null);
      await request('DELETE', this.address, { headers: TUS }).catch(() => {});
    }
  }

  set(state, error = null) { Object.assign(this, { state, error }); this.changed(); }

  async send(signal) {
    let offset = await this.find(signal);
    let failures = 0;
    while (offset < this.size || !this.address) {
      try {
        if (!this.address) await this.create(signal);
        if (offset < this.size) offset = await this.slice(offset, signal);
        failures = 0;
        this.error = null;
      } catch (error) {
        if (signal.aborted || !PASSING.has(error.status) || (failures += error.status !== 423) > PATIENCE) throw error;
        error.message = WORDS[error.code] ?? error.message;
        this.error = error;
        this.rate = 0;
        this.changed();
        await pause(Math.min(30, error.retryAfter ?? 2 ** Math.min(failures - 1, 5) / 2) * 1000, signal);
        if (signal.aborted) throw error;
        try { offset = this.address ? await this.find(signal) : 0; } catch { /* The next round tries again. */ }
      }
    }
    this.sent = this.size;
  }

  // Where the upload goes on. An address that leads nowhere any more is forgotten.
  async find(signal) {
    if (!this.address) return 0;
    const answer = await request('HEAD', this.address, { headers: TUS, signal, accept: [403, 404, 410] });
    const isThere = answer.ok && Number(answer.headers.get('Upload-Length')) === this.size;
    if (!isThere) this.address = null;
    memory.set(this.key, this.address);
    return (this.sent = isThere ? Number(answer.headers.get('Upload-Offset')) : 0);
  }

  async create(signal) {
    const name = base64(new TextEncoder().encode(this.name));
    const answer = await request('POST', '/v1/uploads', {
      signal, headers: { ...TUS, 'Upload-Length': String(this.size), 'Upload-Metadata': `filename ${name}` },
    });
    this.address = answer.headers.get('Location');
    memory.set(this.key, this.address);
  }

  async slice(offset, signal) {
    const part = this.file.slice(offset, offset + SLICE);
    const extra = { ...TUS, 'Upload-Offset': String(offset), 'Content-Type': 'application/offset+octet-stream' };
    // Digests are there on https and on this machine only; elsewhere the digest of the whole is what there is.
    if (crypto.subtle) {
      let body;
      try { body = await part.arrayBuffer(); } catch {
        throw new Problem(-1, { title: 'The file cannot be read', detail: `${this.name} was changed or removed; choose it again` });
      }
      extra['Upload-Checksum'] = `sha256 ${base64(await crypto.subtle.digest('SHA-256', body))}`;
    }
    return new Promise((resolve, reject) => {
      const request = new XMLHttpRequest();
      request.open('PATCH', this.address);
      for (const [name, value] of Object.entries(headers(extra))) request.setRequestHeader(name, value);
      let last = { time: performance.now(), bytes: 0 };
      request.upload.onprogress = event => {
        const time = performance.now();
        this.sent = offset + event.loaded;
        if (time - last.time > 400) {
          const rate = (event.loaded - last.bytes) / (time - last.time) * 1000;
          this.rate = this.rate ? 0.7 * this.rate + 0.3 * rate : rate;
          last = { time, bytes: event.loaded };
        }
        this.changed();
      };
      request.onload = () => {
        if (request.status === 204) {
          this.sent = Number(request.getResponseHeader('Upload-Offset'));
          this.changed();
          resolve(this.sent);
          return;
        }
        const retry = { 'Retry-After': request.getResponseHeader('Retry-After') ?? '' };
        problem(new Response(request.responseText, { status: request.status, headers: retry })).then(reject);
      };
      request.onerror = () => reject(new Problem(0, { title: 'No connection', detail: 'the connection was lost; it is tried again' }));
      request.onabort = () => reject(new Problem(-1, { detail: 'paused' }));
      signal.addEventListener('abort', () => request.abort(), { once: true });
      request.send(part);
    });
  }
}
