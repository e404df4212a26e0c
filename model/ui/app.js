// The page of the Explorer. It walks a path of Stateright's action indices, as the link gives it,
// and shows what the model says of each state; it decides nothing about Raft itself.
'use strict';

const at = (id) => document.getElementById(id);
const answers = new Map();
let view = {served: null, path: [], at: 0, next: [], refused: [], svg: ''};
let latest = 0;

/** An element with text or children: text never becomes markup. */
function make(tag, className, ...children) {
  const element = document.createElement(tag);
  if (className) element.className = className;
  element.append(...children.filter((child) => child !== null && child !== undefined));
  return element;
}

/** What follows the state after these action indices: Stateright's answer, with its JSON read. Beside
 * the steps there is one action without a state, which says the rest of the state that they begin in. */
function following(indices) {
  const address = '/.states' + indices.map((index) => '/' + index).join('');
  if (!answers.has(address)) answers.set(address, ask(address));
  return answers.get(address);
}

/** Asks for all of a way at once that is known to exist: one answer after the other would take longer. */
function askAhead(served, indices) {
  const known = served.trace ? served.trace.split('?')[0] + '/' : '';
  if (!known.startsWith('#/steps/' + indices.join('/') + '/')) return;
  // Who needs an answer hears of its failure.
  indices.forEach((_, i) => following(indices.slice(0, i + 1)).catch(() => null));
}

async function ask(address) {
  try {
    const answer = await fetch(address);
    if (!answer.ok) return {steps: [], refused: [], svg: ''};
    const all = await answer.json();
    const steps = all.filter((step) => step.state).map((step) => ({
      index: step.actionIndex,
      state: JSON.parse(step.state),
      step: step.outcome ? JSON.parse(step.outcome) : null,
    }));
    const beside = all.find((step) => !step.state);
    return {steps, ...(beside ? JSON.parse(beside.action) : {refused: [], svg: ''})};
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
    const {steps: [start]} = await following([]);
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
      askAhead(served, wanted);
      for (let i = 1; i < wanted.length; i++) {
        const {steps} = await following(path.map((item) => item.index));
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
    const [here, end] = await Promise.all([path.slice(0, selected + 1), path].map((way) => following(way.map((item) => item.index))));
    if (mine !== latest) return;
    pending = null;
    view = {served, path, at: selected, next: here.steps, refused: here.refused, svg: end.svg};
    const list = ['next', 'path'].find((id) => at(id).contains(document.activeElement));
    show(complaint);
    // The lists are built anew: whoever was in one stays in it.
    if (list) (at(list).querySelector('[aria-current], #next a') || at(list)).focus();
  } catch (error) {
    pending = null;
    if (mine === latest) complain('The Explorer does not answer any more (' + error.message + '): start it again.');
  }
}

function complain(text) {
  at('message').hidden = !text;
  at('message').textContent = text || '';
}

/** The step that was chosen and is not shown yet: whoever types faster goes on from there. */
let pending = null;
const current = () => pending === null ? view.at : pending;

function select(step) {
  const last = view.path.length - 1;
  const chosen = Math.max(0, Math.min(last, step));
  if (view.served && chosen !== current()) {
    pending = chosen;
    history.replaceState(null, '', linkTo(view.path, chosen));
    load();
  }
}

function show(complaint) {
  performance.mark('show');
  complain(complaint);
  const {state, step} = view.path[view.at];
  const why = explained(state);
  showHeader();
  showStepper();
  showPath();
  showNext();
  showRefused(view.refused);
  showWhy(state);
  showStep(step);
  showGrid(state, step, why ? why.marks : []);
  showServers(state, step);
  showClaims(state, step);
  showMessages(state, step);
  showDiagram();
  at('scenario').hidden = !isCounterexample();
  document.body.dataset.step = view.at;
  document.body.dataset.ready = 'true';
  performance.measure('show', 'show');
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

let drawn = null;

function showDiagram() {
  at('space-time').hidden = view.path.length < 2;
  const place = at('diagram');
  if (drawn !== view.svg) {
    const {scrollLeft} = place;
    place.replaceChildren(new DOMParser().parseFromString(view.svg, 'image/svg+xml').documentElement);
    place.scrollLeft = scrollLeft;
    drawn = view.svg;
    for (const row of place.querySelectorAll('.row')) row.addEventListener('click', () => select(Number(row.dataset.step)));
  }
  for (const part of place.querySelectorAll('[data-step]')) {
    const step = Number(part.dataset.step);
    part.classList.toggle('future', step > view.at);
    part.classList.toggle('current', step === view.at && part.classList.contains('row'));
  }
}

const isCounterexample = () => Boolean(view.served.scenario && view.served.trace &&
  view.served.trace.split('?')[0] === linkTo(view.path, view.path.length - 1).split('?')[0]);

/** Hands a text to the person as a file. */
function download(name, type, text) {
  const link = make('a', '');
  link.href = URL.createObjectURL(new Blob([text], {type}));
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 1000);
}

const fileName = () => [view.served.slice, view.served.mutant && view.served.mutant.name].filter(Boolean).join('-').replace(/[^\w.-]/g, '_');

/** The steps with what is shown of them: the same document as `explore --export` writes. */
function exported() {
  const {sources, ...served} = view.served;
  const path = view.path.map(({step, state: {served: _, ...state}}) => ({step, state}));
  return {served, link: linkTo(view.path, view.path.length - 1), path};
}

const save = () => download(fileName() + '.json', 'application/json', JSON.stringify(exported(), null, 2) + '\n');

/** The first step at which a claim is false that has held until then, or where it is not known, here. */
function violation() {
  const step = view.path.findIndex((item) => item.step && item.step.broke.length);
  return step < 0 ? view.at : step;
}

function toggleHelp() {
  if (at('help').open) at('help').close();
  else at('help').showModal();
}

function toggleSentences() {
  const shown = at('claims').classList.toggle('sentences');
  at('sentences').setAttribute('aria-pressed', shown);
  at('sentences').textContent = (shown ? 'Hide' : 'Show') + ' what the claims say';
}

function openCounterexample() {
  if (view.served.trace) location.hash = view.served.trace;
}

const KEYS = {
  j: () => select(current() + 1), ArrowRight: () => select(current() + 1),
  k: () => select(current() - 1), ArrowLeft: () => select(current() - 1),
  Home: () => select(0), End: () => select(view.path.length - 1),
  v: () => select(violation()),
  c: openCounterexample,
  n: () => (at('next').querySelector('a') || at('next')).focus(),
  s: toggleSentences,
  e: save,
  '?': toggleHelp,
};

document.addEventListener('keydown', (event) => {
  const {key, target} = event;
  const scrolls = target.closest && target.closest('.scroll, pre') === target && /^(Arrow|Home|End)/.test(key);
  if (event.ctrlKey || event.metaKey || event.altKey || scrolls || !Object.hasOwn(KEYS, key)) return;
  if (!view.served || (at('help').open && key !== '?')) return;
  event.preventDefault();
  KEYS[key]();
});
at('first').addEventListener('click', () => select(0));
at('back').addEventListener('click', () => select(current() - 1));
at('forth').addEventListener('click', () => select(current() + 1));
at('last').addEventListener('click', () => select(view.path.length - 1));
at('keys').addEventListener('click', toggleHelp);
at('close').addEventListener('click', toggleHelp);
at('export').addEventListener('click', save);
at('scenario').addEventListener('click', () => download(fileName() + '.scenario', 'text/plain', view.served.scenario));
at('sentences').addEventListener('click', toggleSentences);
window.addEventListener('hashchange', load);
load();
