// The page of the Explorer. It walks a path of Stateright's action indices, as the link gives it,
// and shows what the model says of each state; it decides nothing about Raft itself.
'use strict';

const at = (id) => document.getElementById(id);
const answers = new Map();
let view = {served: null, path: [], at: 0, next: []};
let latest = 0;

/** An element with text or children: text never becomes markup. */
function make(tag, className, ...children) {
  const element = document.createElement(tag);
  if (className) element.className = className;
  element.append(...children.filter((child) => child !== null && child !== undefined));
  return element;
}

/** What follows the state after these action indices: Stateright's answer, with its JSON read. */
function following(indices) {
  const address = '/.states' + indices.map((index) => '/' + index).join('');
  if (!answers.has(address)) answers.set(address, ask(address));
  return answers.get(address);
}

async function ask(address) {
  try {
    const answer = await fetch(address);
    if (!answer.ok) return [];
    const steps = await answer.json();
    return steps.filter((step) => step.state).map((step) => ({
      index: step.actionIndex,
      state: JSON.parse(step.state),
      step: step.outcome ? JSON.parse(step.outcome) : null,
      svg: step.svg,
    }));
  } catch (error) {
    answers.delete(address);
    throw error;
  }
}

/** The parts of a link: where it leads, and what it was made for. */
function parse(hash) {
  const [route, query] = hash.replace(/^#/, '').split('?');
  const parts = route.split('/').filter((part) => part !== '');
  const known = parts.shift() === 'steps' && parts.every((part) => /^\d+$/.test(part));
  return {known, indices: parts.map(Number), asked: new URLSearchParams(query || '')};
}

function linkTo(path, selected) {
  const {served} = view;
  const asked = new URLSearchParams({slice: served.slice});
  if (served.kind !== 'slice') asked.set('kind', served.kind);
  if (served.mutant) asked.set('mutant', served.mutant.name);
  asked.set('state', path[path.length - 1].state.fingerprint);
  if (selected < path.length - 1) asked.set('at', selected);
  return '#/steps/' + path.map((item) => item.index).join('/') + '?' + asked;
}

const name = (kind, slice, mutant) =>
  (kind === 'actors' ? 'the actor model of ' : '') + (kind === 'trace' ? 'trace ' : 'slice ') + slice +
  (mutant ? ' with mutant ' + mutant : kind === 'trace' ? '' : ' under the sound rules');

/** Why this link is not one of what is served, or null. */
function misfit(asked, served) {
  if (!asked.has('slice')) return null;
  const kind = asked.get('kind') || 'slice';
  const [slice, mutant] = [asked.get('slice'), asked.get('mutant')];
  const same = kind === served.kind && slice === served.slice &&
    (mutant || null) === (served.mutant ? served.mutant.name : null);
  if (same) return null;
  const here = name(served.kind, served.slice, served.mutant && served.mutant.name);
  const command = 'quorate-model explore ' + slice + (mutant ? ' --mutant ' + mutant : '') +
    (kind === 'actors' ? ' --actors' : '');
  const plain = [slice, mutant || ''].every((part) => /^[\w-]*$/.test(part));
  const how = kind === 'trace' || !plain ? '' : ' The command for the link is: ' + command;
  return 'This link was made for ' + name(kind, slice, mutant) + '. What is served, and shown from ' +
    'its start, is ' + here + '.' + how;
}

/** Follows the link as far as it leads. */
async function load() {
  const mine = ++latest;
  try {
    const [start] = await following([]);
    const served = start.state.served;
    if (!location.hash) history.replaceState(null, '', served.trace || '#/steps/0');
    const {known, indices, asked} = parse(location.hash);
    let complaint = known ? misfit(asked, served) : 'This is no link of the Explorer. What is shown is the start.';
    const fits = complaint === null;
    const path = [start];
    const wanted = fits ? indices : [0];
    if (wanted.length > 0 && wanted[0] !== 0) {
      complaint = 'This link begins at state ' + wanted[0] + ', and there is only state 0. What is shown is the start.';
    } else {
      for (let i = 1; i < wanted.length; i++) {
        const steps = await following(path.map((item) => item.index));
        const found = steps.find((item) => item.index === wanted[i]);
        if (!found) {
          complaint = 'Step ' + i + ' of this link does not exist here: there is no action ' + wanted[i] +
            ' among ' + steps.length + '. It may have been made for another version of the specification. ' +
            'What is shown is the last state that exists, after step ' + (i - 1) + '.';
          break;
        }
        path.push(found);
      }
    }
    const reached = path[path.length - 1].state.fingerprint;
    if (complaint === null && asked.has('state') && asked.get('state') !== reached) {
      complaint = 'This link was made for another version of the specification: its last state was ' +
        'not the one that is shown here.';
    }
    let selected = fits && asked.has('at') ? Number(asked.get('at')) : path.length - 1;
    if (!(selected >= 0 && selected < path.length)) selected = path.length - 1;
    const next = await following(path.slice(0, selected + 1).map((item) => item.index));
    if (mine !== latest) return;
    view = {served, path, at: selected, next};
    show(complaint);
  } catch (error) {
    if (mine === latest) complain('The Explorer does not answer any more (' + error.message + '): start it again.');
  }
}

function complain(text) {
  at('message').hidden = !text;
  at('message').textContent = text || '';
}

function select(step) {
  const last = view.path.length - 1;
  const chosen = Math.max(0, Math.min(last, step));
  if (view.served && chosen !== view.at) {
    history.replaceState(null, '', linkTo(view.path, chosen));
    load();
  }
}

function show(complaint) {
  complain(complaint);
  showHeader();
  showStepper();
  showPath();
  showNext();
  const {state, step} = view.path[view.at];
  showNodes(state, step);
  showClaims(state, step);
  showMessages(state, step);
  showDiagram();
  document.body.dataset.step = view.at;
  document.body.dataset.ready = 'true';
}

function showHeader() {
  const {served} = view;
  const kind = {slice: 'Slice', actors: 'Actor model of', trace: 'Trace'}[served.kind];
  at('title').textContent = kind + ' ' + served.slice + (served.mutant ? ' · mutant ' + served.mutant.name : '');
  document.title = served.slice + ' · step ' + view.at + ' of ' + (view.path.length - 1) + ' · Quorate Explorer';
  const about = served.about.charAt(0).toUpperCase() + served.about.slice(1);
  at('about').textContent = about + '. Bounds: ' + served.bounds + '.';
  at('mutant').hidden = !served.mutant;
  if (!served.mutant) return;
  const {about: what, bugs, claim, says} = served.mutant;
  const parts = [make('strong', '', 'Broken on purpose: '), what + ' (' + bugs + ') ',
    make('strong', '', 'To be violated: '), make('span', 'badge false', claim), ' ' + says];
  if (served.trace) {
    const link = make('a', '', 'Open the counterexample');
    link.href = served.trace;
    parts.push(' ', link);
  }
  at('mutant').replaceChildren(...parts);
}

function showStepper() {
  const last = view.path.length - 1;
  at('position').textContent = 'Step ' + view.at + ' of ' + last;
  at('first').disabled = at('back').disabled = view.at === 0;
  at('last').disabled = at('forth').disabled = view.at === last;
  const {step} = view.path[view.at];
  at('now').textContent = step ? step.sentence : 'The state before the first step';
}

/** A sentence: its first clause, then the others beneath. */
function sentence(step) {
  const [first, ...others] = step.sentence.split('; ');
  return make('span', '', first, ...others.map((clause) => make('span', 'clause', clause)), ...broken(step.broke));
}

const broken = (claims) => claims.map((claim) => make('span', 'badge false', '✗ ' + claim + ' FALSE from here'));

/** The start, where a claim may be false already: that nothing can ever be committed, say. */
function start(state) {
  const wrong = state.claims.filter((claim) => !claim.holds).map(({claim}) => claim);
  return make('span', '', 'Start ', ...broken(wrong));
}

function showPath() {
  const items = view.path.map((item, i) => {
    const text = item.step ? sentence(item.step) : start(item.state);
    const link = make('a', i > view.at ? 'later' : '', make('span', 'step-number', String(i)), text);
    link.href = linkTo(view.path, i);
    if (i === view.at) link.setAttribute('aria-current', 'step');
    link.addEventListener('click', (event) => {
      event.preventDefault();
      select(i);
    });
    const row = make('li', '', link);
    row.dataset.step = i;
    return row;
  });
  at('path').replaceChildren(...items);
}

function showNext() {
  const before = view.path.slice(0, view.at + 1);
  // Two actions may be one and the same to the eye: a request without entries, and a heartbeat.
  const seen = new Set();
  const distinct = view.next.filter((item) => {
    const looks = item.step.sentence + item.state.fingerprint;
    return !seen.has(looks) && seen.add(looks);
  });
  const items = distinct.map((item) => {
    const path = before.concat([item]);
    const link = make('a', '', sentence(item.step));
    link.href = linkTo(path, path.length - 1);
    return make('li', '', link);
  });
  const nothing = make('li', 'empty', 'Nothing: this is the end.');
  at('next').replaceChildren(...(items.length ? items : [nothing]));
}

function showNodes(state, step) {
  const changed = new Set(step ? step.changed : []);
  const rows = state.nodes.map((node) => {
    const cell = (label, field, className, ...content) => {
      const cell = make('td', className, ...content);
      cell.dataset.label = label;
      if (changed.has(node.name + '.' + field)) {
        cell.classList.add('changed');
        cell.title = 'changed in this step';
      }
      return cell;
    };
    const value = (text) => make('span', 'value', String(text));
    const lines = (texts) => texts.length
      ? make('span', 'value lines', ...texts.map((text) => make('span', 'small', text))) : make('span', 'empty', '–');
    const disk = node.unwritten.map((text) => 'not on disk: ' + text)
      .concat(node.held.map((text) => 'held back ' + text));
    const row = make('tr', '',
      cell('server', '', 'server', node.name),
      cell('role', 'role', 'role-' + node.role, value(node.role)),
      cell('term', 'term', '', value(node.term)),
      cell('vote', 'vote', '', value(node.vote || '–')),
      cell('log', 'log', 'log-cell', log(node)),
      cell('commit', 'commit', '', value(node.commit)),
      cell('promise', 'promised', 'promise', value(node.promised ? 'promised' : '–')),
      cell('knows', 'notes', 'knows wide' + (node.notes.length ? '' : ' none'), lines(node.notes)),
      cell('not on disk, held back', 'disk', 'wide' + (disk.length ? '' : ' none'), lines(disk)));
    row.dataset.server = node.name;
    return row;
  });
  at('nodes').tBodies[0].replaceChildren(...rows);
  const bounded = [];
  if (state.left.length) bounded.push('Still possible: ' + state.left.join(', ') + '.');
  if (state.cut.length) bounded.push('Cut links: ' + state.cut.join(', ') + '.');
  at('bounded').textContent = bounded.join(' ');
}

function log(node) {
  const cells = node.log.map((entry) => {
    const mark = entry.durable ? ' ●' : ' ○';
    const cell = make('span', 'entry t' + (entry.term % 6) + (entry.committed ? ' committed' : ''), 't' + entry.term + (entry.configuration || '') + mark);
    cell.title = 'index ' + entry.index + ', term ' + entry.term + (entry.configuration ? ', members ' + entry.configuration : '') + (entry.committed ? ', committed' : ', not committed') +
      (entry.durable ? ', on disk' : ', not on disk');
    return cell;
  });
  if (node.base > 0) cells.unshift(make('span', 'small', 'after ' + node.base));
  return make('span', 'log', ...(cells.length ? cells : [make('span', 'empty', 'empty')]));
}

function showClaims(state, step) {
  const target = view.served.mutant && view.served.mutant.claim;
  const broke = new Set(step ? step.broke : []);
  const count = state.claims.filter((claim) => !claim.holds).length;
  const holding = state.claims.length - count;
  at('claims-title').textContent = 'Claims in this state: ' + (count ? count + ' FALSE, ' : '') + holding + ' hold';
  at('claims').replaceChildren(...state.claims.map(({claim, says, holds}) => {
    const truth = make('span', 'truth ' + (holds ? 'true' : 'false'), holds ? '✓ holds' : '✗ FALSE');
    const notes = [];
    if (!holds && broke.has(claim)) notes.push(make('span', 'badge false', 'by this step'));
    if (claim === target) notes.push(make('span', 'badge', 'what the mutant has to break'));
    const item = make('li', holds ? '' : 'broken', truth, make('strong', '', claim), ' ', ...notes, make('span', 'says', says));
    item.title = says;
    item.dataset.claim = claim;
    item.dataset.holds = holds;
    return item;
  }));
}

function showMessages(state, step) {
  const sent = new Set(step ? step.sent : []);
  const items = state.messages.map((message, i) => make('li', '',
    make('span', 'route', message.from + ' → ' + message.to), message.says,
    sent.has(i) ? make('span', 'badge new', 'new') : null));
  at('messages').replaceChildren(...(items.length ? items : [make('li', 'empty', 'None.')]));
  for (const badge of at('messages').querySelectorAll('.new')) badge.before(' ');
}

function showDiagram() {
  const {svg} = view.path[view.path.length - 1];
  at('space-time').hidden = view.path.length < 2;
  const drawing = new DOMParser().parseFromString(svg, 'image/svg+xml').documentElement;
  for (const part of drawing.querySelectorAll('[data-step]')) {
    const step = Number(part.dataset.step);
    part.classList.toggle('future', step > view.at);
    part.classList.toggle('current', step === view.at && part.classList.contains('row'));
    if (part.classList.contains('row')) part.addEventListener('click', () => select(step));
  }
  const place = at('diagram');
  const {scrollLeft} = place;
  place.replaceChildren(drawing);
  place.scrollLeft = scrollLeft;
}

const KEYS = {
  j: () => view.at + 1, ArrowRight: () => view.at + 1,
  k: () => view.at - 1, ArrowLeft: () => view.at - 1,
  Home: () => 0, End: () => view.path.length - 1,
};

document.addEventListener('keydown', (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || !(event.key in KEYS)) return;
  event.preventDefault();
  select(KEYS[event.key]());
});
at('first').addEventListener('click', () => select(0));
at('back').addEventListener('click', () => select(view.at - 1));
at('forth').addEventListener('click', () => select(view.at + 1));
at('last').addEventListener('click', () => select(view.path.length - 1));
at('sentences').addEventListener('click', () => {
  const shown = at('claims').classList.toggle('sentences');
  at('sentences').setAttribute('aria-pressed', shown);
  at('sentences').textContent = (shown ? 'Hide' : 'Show') + ' what the claims say';
});
window.addEventListener('hashchange', load);
load();
