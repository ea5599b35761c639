import { askCaller, caller, hasToken, onAccess, setToken } from './api.js';
import { $, dialog, h, memory, put, on, problemBox } from './dom.js';
import * as form from './form.js';
import * as job from './job.js';
import * as jobs from './jobs.js';
import { bytes, number } from './text.js';

// What holds the parts together: addresses, access, colours and keys.

let asking = false;

async function askForToken(error) {
  if (asking) return;
  asking = true;
  const field = h('input', { type: 'password', id: 'token', autocomplete: 'off', 'aria-describedby': 'token-hint' });
  const { me } = caller;
  const isOpen = me && !me.token && !hasToken();
  const answer = await dialog('Access', [
    h('p', error && error.code === 'unauthorized' && hasToken() ? `The service does not take the token: ${error.message}.`
      : me?.token ? `You are ${me.token}${me.team ? ` of the team ${me.team}` : ''}. The token may: ${me.scopes.join(', ')}.`
      : isOpen ? 'This service has no access tokens: everybody may do everything.' : 'This service asks for an access token, which its operator makes.'),
    isOpen ? null : h('div.field', h('label', { for: 'token' }, 'Access token'), field,
      h('small', { id: 'token-hint' }, 'Kept until this tab is closed, and sent to this service only.'))],
  [['close', 'Close'], hasToken() && ['forget', 'Forget the token'], !isOpen && ['use', 'Use it', 'primary']].filter(Boolean));
  asking = false;
  if (answer === 'use' && field.value.trim()) setToken(field.value);
  else if (answer === 'forget') setToken('');
  else return;
  await begin();
}

async function begin() {
  try {
    await askCaller();
    put('banner');
    form.allow();
    await form.load();
    jobs.refresh();
    route();
  } catch (error) {
    if (error.status !== 401) put('banner', problemBox(error));
    else put('banner', h('p.notice', h('span', 'This service asks for an access token. '), h('span', h('button', { onclick: () => askForToken(error) }, 'Enter a token'))));
  }
}

function route() {
  const id = /^#\/jobs\/(\w+)$/.exec(location.hash)?.[1];
  $('convert').hidden = $('plan').hidden = Boolean(id);
  if (document.hidden) job.rest(); else if (id) job.open(id); else job.close();
  jobs.refresh();
}

function theme(choice) {
  memory.set('theme', choice || null);
  document.documentElement.dataset.theme = choice;
}

const KEYS = [['/', 'search jobs'], ['g then c', 'go to the form'], ['g then j', 'go to the jobs'], ['?', 'this help']];

async function help() {
  const box = h('input', { type: 'checkbox', checked: memory.get('keys') !== 'off', onchange: event => memory.set('keys', event.target.checked ? null : 'off') });
  await dialog('Keyboard', [
    h('dl.facts', KEYS.map(([key, what]) => [h('dt', key.split(' then ').map((one, index) => [index ? ' then ' : null, h('kbd', one)])), h('dd', what)])),
    h('label.check', box, h('span', 'These keys are on'))], [['close', 'Close']]);
}

let before = '';
function keys(event) {
  const typing = event.target.closest?.('input, select, textarea, dialog');
  if (typing || event.ctrlKey || event.metaKey || event.altKey || memory.get('keys') === 'off') return;
  const chord = before === 'g' ? `g${event.key}` : event.key;
  before = event.key;
  const run = { '/': () => $('search').focus(), '?': help, gc: () => { location.hash = '#/'; $('files').focus(); }, gj: () => ($('job-list').querySelector('a') ?? $('search')).focus() }[chord];
  if (!run) return;
  event.preventDefault();
  run();
}

function listed(list, error) {
  if (error) { put('banner', problemBox(error)); return; }
  if ($('banner').querySelector('.error')) put('banner');
  const { running, queued } = list.counts;
  $('health').textContent = [`${number(running)} running`, `${number(queued)} waiting`, caller.me && `${bytes(caller.me.free_bytes)} free`].filter(Boolean).join(' · ');
}

onAccess.handler = error => { if (caller.me || hasToken()) askForToken(error); };
$('theme').value = memory.get('theme') ?? '';
theme($('theme').value);
on('theme', 'change', () => theme($('theme').value));
on('access', 'click', () => askForToken(null));
on('help', 'click', help);
document.addEventListener('keydown', keys);
window.addEventListener('hashchange', route);
document.addEventListener('visibilitychange', route);
window.addEventListener('beforeunload', event => { if (form.isSending()) event.preventDefault(); });
jobs.start(listed);
form.start(submitted => { location.hash = `#/jobs/${submitted.id}`; });
begin();
