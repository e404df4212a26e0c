// One step: what happened by which rule, what changed, what was refused, and what has become false.

/** A function of the specification, to unfold: its place, what it says, its text. */
function source(key) {
  const {sources} = view.served;
  const found = sources && sources[key];
  if (!found) return make('code', '', key);
  const summary = make('summary', '', make('code', '', found.file + ':' + found.line + ' ' + found.function),
    found.thesis ? ' thesis ' + found.thesis : '', make('span', 'says', found.says.replaceAll('`', '')));
  const details = make('details', 'source', summary);
  // Most are never looked at.
  details.addEventListener('toggle', () => {
    if (details.open && !details.querySelector('pre')) {
      const text = make('pre', '', found.text);
      text.tabIndex = 0;
      details.append(text);
    }
  });
  return details;
}

function showStep(step) {
  at('step-title').textContent = view.at ? 'Step ' + view.at + ': what changed, and by which rule' : 'The start';
  if (!step) {
    at('step').replaceChildren(make('p', 'empty', 'The state before the first step.'));
    return;
  }
  const parts = [make('p', 'sentence', sentence(step))];
  if (step.changed.length) parts.push(changes(step.changed));
  else parts.push(make('p', 'empty', 'No server changed.'));
  if (step.refused.length) {
    parts.push(make('h3', '', 'Refused in this step'), make('ul', '', ...step.refused.map(refusal)));
  }
  if (step.sources.length) {
    parts.push(make('h3', '', 'By these functions of the specification'), ...step.sources.map(source));
  }
  at('step').replaceChildren(...parts);
}

function changes(changed) {
  const rows = changed.map((one) => {
    const server = make('th', '', one.server);
    server.scope = 'row';
    const before = make('td', 'before', one.before || '(was not there)');
    const after = make('td', 'after', make('span', 'arrow-mark', '→ '), one.after || '(is gone)');
    return make('tr', '', server, make('td', 'field', one.field), before, after);
  });
  const heads = ['server', 'field', 'before', 'after'].map((text) => {
    const cell = make('th', '', text);
    cell.scope = 'col';
    return cell;
  });
  const table = make('table', '', make('thead', '', make('tr', '', ...heads)), make('tbody', '', ...rows));
  table.id = 'changes';
  const box = make('div', 'scroll', table);
  box.tabIndex = 0;
  box.setAttribute('role', 'region');
  box.setAttribute('aria-label', 'What changed in this step');
  return box;
}

function refusal(one) {
  const item = make('li', '', make('strong', '', one.servers.join(', ')), ' ' + one.what + ': ',
    make('span', 'badge', 'refused ' + one.refusal), ' ' + one.why + (one.acts ? '. It answers, or hears of a term, all the same.' : '.'),
    source(one.source));
  item.dataset.refusal = one.refusal;
  return item;
}

function showRefused(refused) {
  const arrive = (one) => one.what.startsWith('from ');
  const messages = refused.filter(arrive).map(refusal);
  const asks = refused.filter((one) => !arrive(one)).map(refusal);
  const items = messages.slice();
  if (asks.length) {
    const title = asks.length + ' of timeouts, clients and operators';
    items.push(make('li', '', make('details', '', make('summary', '', title), make('ul', '', ...asks))));
  }
  at('refused').replaceChildren(...(items.length ? items : [make('li', 'empty', 'Nothing.')]));
}

/** The claims that are false here, the one first that became false first. */
function explanations(state) {
  const target = view.served.mutant && view.served.mutant.claim;
  const rank = (one) => one.step - (one.claim === target ? .5 : 0);
  return state.explained.slice().sort((a, b) => rank(a) - rank(b));
}

/** The claim to explain: one that this very step has made false, or else the one that was first. */
function explained(state) {
  const all = explanations(state);
  return all.find((one) => one.step === view.at) || all[0];
}

function showWhy(state) {
  const shown = explained(state);
  at('why').hidden = !shown;
  if (!shown) return;
  const [first] = explanations(state);
  const since = shown.step === 0 ? 'from the start' : shown.step === view.at ? 'by this step' : 'since step ' + shown.step;
  at('why-title').textContent = '✗ ' + shown.claim + ' is false, ' + since;
  at('why-sentences').replaceChildren(...shown.sentences.map((text) => make('li', '', text)));
  at('why-decided').textContent = 'Decided by ' + shown.decided_by + '.' +
    (first.claim === shown.claim ? '' : ' The first claim to fall was ' + first.claim + (first.step ? ', in step ' + first.step : ', at the start') + '.');
}

function showClaims(state, step) {
  const target = view.served.mutant && view.served.mutant.claim;
  const broke = new Set(step ? step.broke : []);
  const why = new Map(state.explained.map((one) => [one.claim, one]));
  const [[first], shown] = [explanations(state), explained(state)];
  const count = state.claims.filter((claim) => !claim.holds).length;
  const holding = state.claims.length - count;
  at('claims-title').textContent = 'Claims in this state: ' + (count ? count + ' FALSE, ' : '') + holding + ' hold';
  const order = ({claim, holds}) => holds ? 1e6 : (why.has(claim) ? why.get(claim).step * 2 : 0) + (first && first.claim === claim ? -1 : 0);
  const sorted = state.claims.slice().sort((a, b) => order(a) - order(b));
  at('claims').replaceChildren(...sorted.map(({claim, says, holds}) => {
    const truth = make('span', 'truth ' + (holds ? 'true' : 'false'), holds ? '✓ holds' : '✗ FALSE');
    const notes = [];
    if (first && first.claim === claim) notes.push(make('span', 'badge false', 'the first'));
    if (!holds && broke.has(claim)) notes.push(make('span', 'badge false', 'by this step'));
    if (claim === target) notes.push(make('span', 'badge', 'what the mutant has to break'));
    const item = make('li', holds ? '' : 'broken', truth, make('strong', '', broken_at_capitals(claim)), ' ', ...notes, make('span', 'says', says));
    if (why.has(claim) && claim !== shown.claim) {
      item.append(make('details', '', make('summary', '', 'Why, ' + (why.get(claim).step ? 'since step ' + why.get(claim).step : 'from the start')),
        make('ol', '', ...why.get(claim).sentences.map((text) => make('li', '', text)))));
    }
    item.title = says;
    item.dataset.claim = claim;
    item.dataset.holds = holds;
    return item;
  }));
}

/** A name may be broken before its capitals, and nowhere else. */
function broken_at_capitals(name) {
  const words = name.split(/(?=[A-Z])/);
  return make('span', 'name', ...words.flatMap((word, i) => i ? [make('wbr', ''), word] : [word]));
}

function showMessages(state, step) {
  const sent = new Set(step ? step.sent : []);
  const items = state.messages.map((message, i) => make('li', '',
    make('span', 'route', message.from + ' → ' + message.to), message.says,
    sent.has(i) ? make('span', 'badge new', 'new') : null));
  at('messages').replaceChildren(...(items.length ? items : [make('li', 'empty', 'None.')]));
  for (const badge of at('messages').querySelectorAll('.new')) badge.before(' ');
}
