import { copyButton, h, tabs } from './dom.js';

// What the form says as a command. Quoting is the point: names have quotes, spaces and dollars in them.

const shell = text => (/^[\w@%+=:,./-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`);

// A value as Python writes it. JSON texts are Python texts, too.
const python = value => (value === null ? 'None' : value === true ? 'True' : value === false ? 'False'
  : Array.isArray(value) ? `[${value.map(python).join(', ')}]`
  : typeof value === 'object' ? `{${Object.entries(value).map(([key, item]) => `${JSON.stringify(key)}: ${python(item)}`).join(', ')}}`
  : JSON.stringify(value));

// A file as an argument of curl -F: its name goes apart, since `;` and `,` mean something there.
const part = (field, name) => shell(`${field}=@"${name.replaceAll('\\', '\\\\').replaceAll('"', '\\"')}"`);

function submit(form) {
  const words = ['zooport', 'submit', ...(form.command === 'convert-config' ? ['convert-config'] : []),
    '--url', location.origin, '--model', form.model, '--src-fmt', form.src_fmt, '--tgt-fmt', form.tgt_fmt];
  for (const [name, value] of Object.entries(form.options)) {
    words.push(`--${name.replaceAll('_', '-')}`, ...(value === true ? [] : [String(value)]));
  }
  const hub = form.hub;
  if (hub) {
    if (hub.subfolder) words.push('--subfolder', hub.subfolder);
    if (hub.carry) words.push('--carry');
    if (hub.token) words.push('--hub-token');
  }
  const configs = form.files.filter(file => file.role === 'config').map(file => file.name);
  if (form.configURL) configs.push(form.configURL);
  const checkpoints = form.files.filter(file => file.role === 'checkpoint').map(file => file.name);
  if (form.source) checkpoints.push(form.source);
  const path = name => (name.startsWith('-') ? `./${name}` : name);
  if (form.command === 'convert-config') words.push(...configs.map(path));
  else {
    for (const config of configs) words.push('--config', path(config));
    words.push(...checkpoints.map(path));
  }
  return (form.hasToken ? 'export ZOOPORT_TOKEN=zpt_…\n' : '') + words.map(word => (word.startsWith('--') ? `\\\n  ${word}` : shell(word))).join(' ');
}

function curl(form) {
  const header = form.hasToken ? ` -H "Authorization: Bearer $ZOOPORT_TOKEN"` : '';
  const start = `curl --fail-with-body${header}`;
  if (!form.files.length) {
    return `${start} ${shell(`${location.origin}/v1/jobs`)} -H 'Content-Type: application/json' \\\n  -d ${shell(JSON.stringify(form.body))}`;
  }
  const fields = [['command', form.command], ['model', form.model], ['src_fmt', form.src_fmt], ['tgt_fmt', form.tgt_fmt]];
  if (Object.keys(form.options).length) fields.push(['options', JSON.stringify(form.options)]);
  const parts = fields.map(([name, value]) => `--form-string ${shell(`${name}=${value}`)}`);
  if (form.configURL) parts.push(`--form-string ${shell(`config=${JSON.stringify({ url: form.configURL })}`)}`);
  for (const file of form.files) parts.push(`-F ${part(file.role === 'config' ? 'config' : 'checkpoint', file.name)}`);
  return `${start} ${shell(`${location.origin}/v1/jobs`)} \\\n  ${parts.join(' \\\n  ')}`;
}

function pythonText(form) {
  const { config, checkpoint, ...fields } = form.body;
  if (fields.options) fields.options = JSON.stringify(fields.options);
  if (form.configURL) fields.config = JSON.stringify(config);
  const files = form.files.map(({ name, role }) => `    ("${role}", open(${JSON.stringify(name)}, "rb")),\n`).join('');
  const sent = form.files.length ? `data=${python(fields)}, files=[\n${files}]` : `json=${python(form.body)}`;
  return `import os, requests

answer = requests.post(${JSON.stringify(`${location.origin}/v1/jobs`)}, ${sent}${form.hasToken ? ', headers={"Authorization": "Bearer " + os.environ["ZOOPORT_TOKEN"]}' : ''})
answer.raise_for_status()
print(answer.json()["id"])`;
}

const commandTexts = form => [['zooport submit', submit(form)], ['curl', curl(form)], ['Python', pythonText(form)]];

// The commands as tabs. A token of the hub is never written into one.
export function showCommands(form) {
  const hidden = form.hub?.token
    && h('p.muted', 'The token of the hub is left out here. zooport submit takes it from the variable HF_TOKEN.');
  return h('div', tabs('Commands', commandTexts(form).map(([name, text]) => [name, () => [
    h('pre.command', { tabindex: '0', 'aria-label': name }, text), copyButton(text, `Copy the ${name} command`)]])), hidden);
}
