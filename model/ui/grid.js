// The log grid: a row a server, a column an index; and beside it what each server knows.

/** Which fields of which part of a server this step has changed. */
function changedParts(step) {
  const changed = new Map();
  for (const {server, part, field} of step ? step.changed : []) {
    const key = server + '.' + part;
    changed.set(key, (changed.get(key) || []).concat([field]));
  }
  return changed;
}

/** Marks an element as changed, for eyes and for who listens. */
function mark(element, changed, server, part, fields) {
  const here = (changed.get(server + '.' + part) || []).filter((field) => !fields || fields.includes(field));
  if (!here.length) return element;
  element.classList.add('changed');
  element.prepend(make('span', 'flag', '▸', make('span', 'hidden', ' changed: ')));
  return element;
}

function showGrid(state, step, marks) {
  const changed = changedParts(step);
  const leaders = state.nodes.filter((node) => node.peers.length);
  const ends = state.nodes.flatMap((node) => [node.base, ...node.log.map((entry) => entry.index),
    ...node.peers.map((peer) => peer.next)]);
  const last = Math.max(1, ...ends, ...state.committed.map((entry) => entry.index));
  const indices = Array.from({length: last}, (_, i) => i + 1);
  const head = (text, scope) => {
    const cell = make('th', '', text);
    cell.scope = scope || 'col';
    return cell;
  };
  const heads = ['server', 'term', 'vote'].concat(indices.map(String), ['commit', 'on disk']);
  at('grid').tHead.replaceChildren(make('tr', '', ...heads.map((text) => head(text))));
  const rows = state.nodes.map((node) => gridRow(node, indices, leaders, changed, marks));
  if (state.committed.length) rows.unshift(everCommitted(state.committed, indices));
  at('grid').tBodies[0].replaceChildren(...rows);
}

/** What anyone ever knew to be committed: no server sees this row. */
function everCommitted(committed, indices) {
  const name = make('th', 'ever', 'committed by anyone');
  name.scope = 'row';
  name.colSpan = 3;
  const cells = indices.map((index) => {
    const entry = committed.find((one) => one.index === index);
    if (!entry) return make('td', '');
    const by = entry.by === entry.term ? '' : ' in t' + entry.by;
    return make('td', '', make('span', 'entry committed t' + (entry.term % 6), 't' + entry.term + by));
  });
  const most = Math.max(...committed.map((entry) => entry.index));
  return make('tr', 'ever', name, ...cells, make('td', '', String(most)), make('td', ''));
}

function gridRow(node, indices, leaders, changed, marks) {
  const here = marks.filter((one) => one.server === node.name).map((one) => make('span', 'counted', one.says));
  const role = mark(make('span', 'role role-' + node.role, node.role), changed, node.name, 'role');
  const name = make('th', 'server', node.name, role, ...here);
  name.scope = 'row';
  const cell = (part, fields, ...content) => mark(make('td', '', ...content), changed, node.name, part, fields);
  const cells = [];
  for (const index of indices) {
    if (index <= node.base) {
      if (index > 1) continue;
      const snapshot = make('td', 'snapshot', 'snapshot up to ' + node.base + ' (t' + node.base_term + ')');
      snapshot.colSpan = node.base;
      cells.push(mark(snapshot, changed, node.name, 'log', ['base']));
      continue;
    }
    const entry = node.log.find((one) => one.index === index);
    const points = leaders.flatMap((leader) => pointers(leader, node, index));
    cells.push(make('td', 'slot', entry ? entryCell(entry) : make('span', 'empty', '·'), ...points));
  }
  const row = make('tr', here.length ? 'marked' : '', name,
    cell('term', null, String(node.term)),
    cell('vote', null, node.vote || '–'), ...cells,
    cell('log', ['commit index'], String(node.commit)), cell('log', ['on disk up to'], String(node.durable)));
  if ((changed.get(node.name + '.log') || []).includes('log')) row.classList.add('log-changed');
  row.dataset.server = node.name;
  return row;
}

function entryCell(entry) {
  const says = 'entry ' + entry.index + ' of term ' + entry.term + (entry.configuration ? ', members ' + entry.configuration : '') +
    (entry.committed ? ', known to be committed' : ', not known to be committed') + (entry.durable ? ', on disk' : ', not on disk');
  const text = make('span', '', 't' + entry.term + (entry.durable ? ' ●' : ' ○'));
  text.setAttribute('aria-hidden', 'true');
  const cell = make('span', 'entry t' + (entry.term % 6) + (entry.committed ? ' committed' : ''), text, make('span', 'hidden', says),
    entry.configuration ? make('span', 'members', entry.configuration) : null);
  cell.title = says;
  return cell;
}

/** Where this leader takes the server's log to match, and from where on it sends. */
function pointers(leader, node, index) {
  const peer = leader.peers.find((one) => one.name === node.name);
  if (!peer) return [];
  const points = [];
  if (peer.matched === index) points.push(point('= ' + leader.name, 'match: ' + leader.name + ' knows that the logs agree up to here'));
  if (peer.next === index) points.push(point('→ ' + leader.name, 'next: ' + leader.name + ' sends from here on'));
  return points;
}

function point(text, title) {
  const pointer = make('span', 'pointer', text);
  pointer.title = title;
  return pointer;
}

/** What each server has promised, holds and knows. */
function showServers(state, step) {
  const changed = changedParts(step);
  at('servers').replaceChildren(...state.nodes.map((node) => {
    const facts = make('dl', '');
    const fact = (label, part, fields, texts) => {
      if (!texts.length) return;
      const value = make('dd', '', ...texts.map((text) => make('span', 'line', text)));
      facts.append(make('dt', '', label), mark(value, changed, node.name, part, fields));
    };
    fact('promise not to vote', 'promise', ['promise'], [node.promise || 'none']);
    fact('lease', 'promise', ['lease'], node.lease ? [node.lease] : []);
    fact('members', 'log', ['members'], [node.members]);
    fact('knows of the others', 'peers', null, node.peers.map((peer) => peer.name + ': next ' + peer.next + ', match ' + peer.matched + ', ' + peer.pace));
    fact('knows', 'knows', null, node.notes);
    fact('clock', 'promise', ['clock'], node.clock);
    fact('not on disk yet', 'disk', ['waits for the disk'], node.unwritten);
    fact('held back until then', 'disk', ['held back'], node.held);
    const card = make('article', '', make('h3', '', node.name, make('span', 'hint', ' ' + node.role + ', term ' + node.term)), facts);
    card.dataset.server = node.name;
    return card;
  }));
  const bounded = [];
  if (state.left.length) bounded.push('Still possible: ' + state.left.join(', ') + '.');
  if (state.cut.length) bounded.push('Cut links: ' + state.cut.join(', ') + '.');
  at('bounded').textContent = bounded.join(' ');
}
