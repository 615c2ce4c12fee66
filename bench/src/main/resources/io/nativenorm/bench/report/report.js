'use strict';
const data = JSON.parse(document.getElementById('data').textContent);
const own = data.nativeNorm;
const isOwn = (contestant) => contestant.startsWith(own); // in any type
const dark = matchMedia('(prefers-color-scheme: dark)');
const charts = new Map();
let direction = data.rows.length ? data.rows[0].direction : 'inference';

const byId = (id) => document.getElementById(id);
const color = (name) => getComputedStyle(document.documentElement).getPropertyValue('--' + name).trim();
const unique = (values) => [...new Set(values)];
const contestants = data.standings.map((standing) => standing.contestant);

/** Three digits. */
const number = (value) => value === null ? '–' : value === 0 ? '0' : String(Number(value.toPrecision(3)));
const times = (value) => value === null ? '–' : number(value) + ' ×';
const error = (value) => value === null ? '–' : value.toExponential(1);
const bytes = (value) => {
  const units = ['B', 'KB', 'MB', 'GB'];
  const unit = Math.min(3, Math.floor(Math.log2(value) / 10));
  return number(value / 1024 ** unit) + ' ' + units[unit];
};

function element(parent, name, text, className) {
  const made = parent.appendChild(document.createElement(name));
  if (text !== undefined) made.textContent = text;
  if (className) made.className = className;
  return made;
}

/** NativeNorm stands out, its engines are near it, the others share a scale. */
function seriesColor(contestant) {
  if (isOwn(contestant)) return color('accent');
  const palette = dark.matches
    ? ['#7dd3fc', '#a3e635', '#f0abfc', '#fde047', '#5eead4', '#c4b5fd', '#fda4af', '#93c5fd', '#d9f99d', '#cbd5e1', '#fdba74']
    : ['#0369a1', '#4d7c0f', '#a21caf', '#a16207', '#0f766e', '#6d28d9', '#be123c', '#1d4ed8', '#3f6212', '#475569', '#9a3412'];
  return palette[contestants.filter((name) => !isOwn(name)).indexOf(contestant) % palette.length];
}

const symbols = ['circle', 'rect', 'triangle', 'diamond', 'roundRect', 'emptyCircle'];
const symbol = (contestant) => symbols[contestants.indexOf(contestant) % symbols.length];

function draw(id, option) {
  const holder = byId(id);
  if (!charts.has(id)) charts.set(id, echarts.init(holder, null, {renderer: 'svg'}));
  const axis = {
    axisLine: {lineStyle: {color: color('line')}},
    axisLabel: {color: color('soft')},
    nameTextStyle: {color: color('soft')},
    splitLine: {lineStyle: {color: color('line')}},
  };
  const themed = (given) => Array.isArray(given) ? given.map(themed) : {...axis, ...given, axisLabel: {...axis.axisLabel, ...given.axisLabel}};
  charts.get(id).setOption({
    animation: false,
    textStyle: {fontFamily: 'system-ui, sans-serif', color: color('ink')},
    ...option,
    legend: {show: false}, // by which a click hides a series
    xAxis: themed(option.xAxis),
    yAxis: themed(option.yAxis),
  }, true);
  if (option.series.length > 1 && option.series.every((series) => series.name)) drawLegend(id, option.series);
}

/** All names at once, below the chart, however many lines they take; a click hides one. */
function drawLegend(id, series) {
  const holder = byId(id + '-legend') ?? byId(id).insertAdjacentElement('afterend', document.createElement('div'));
  holder.id = id + '-legend';
  holder.className = 'legend';
  holder.replaceChildren();
  for (const {name, color: ink, symbol: shape} of series) {
    const button = element(holder, 'button', undefined, shape ?? 'line');
    element(button, 'i').style.setProperty('--series', ink);
    element(button, 'span', name);
    button.setAttribute('aria-pressed', 'true');
    button.addEventListener('click', () => {
      charts.get(id).dispatchAction({type: 'legendToggleSelect', name});
      button.setAttribute('aria-pressed', String(button.getAttribute('aria-pressed') === 'false'));
    });
  }
}

function drawSummary() {
  const rivals = data.standings.filter((s) => s.ratio !== null && !s.contestant.startsWith('NativeNorm'));
  const sentences = data.standings.filter((s) => isOwn(s.contestant)).flatMap((self) => {
    const fastest = rivals.filter((s) => s.type === self.type).reduce((a, b) => a === null || b.ratio < a.ratio ? b : a, null);
    return fastest === null ? [] : `Over ${self.raced} cells NativeNorm is ${number(fastest.ratio)} times as fast as `
      + `${fastest.contestant}, the fastest of the others on average, with errors up to ${error(self.largestError)}.`;
  });
  byId('summary').textContent = sentences.length ? sentences.join(' ') : 'NativeNorm and another library were not both raced.';
  for (const [name, value] of Object.entries(data.environment)) {
    const pair = element(byId('environment'), 'div');
    element(pair, 'dt', name);
    element(pair, 'dd', value);
  }
}

/** Columns: heading, text of a row, sort key, class. */
function fillTable(id, rows, columns) {
  const table = byId(id);
  const head = element(element(table, 'thead'), 'tr');
  for (const [heading, , key] of columns) {
    element(head, 'th', heading, key ? '' : 'name').setAttribute('data-sort-method', key ? 'number' : '');
  }
  const body = element(table, 'tbody');
  for (const row of rows) {
    const line = element(body, 'tr', undefined, row.contestant && isOwn(row.contestant) ? 'own' : '');
    for (const [heading, text, key, className] of columns) {
      const cell = element(line, 'td', undefined, className && className(row));
      cell.setAttribute('data-heading', heading); // on a phone, where each row is a card
      element(cell, 'span', text(row));
      if (key) cell.setAttribute('data-sort', key(row) ?? Infinity);
    }
  }
  new Tablesort(table);
}

function fillTables() {
  fillTable('standings', data.standings, [
    ['contestant', (s) => s.contestant],
    ['version', (s) => s.version, undefined, () => 'name'],
    ['cells', (s) => String(s.raced), (s) => s.raced],
    ['time', (s) => times(s.ratio), (s) => s.ratio],
    ['slowest', (s) => times(s.slowest), (s) => s.slowest],
    ['over F32', (s) => times(s.overF32), (s) => s.overF32],
    ['wrong answers', (s) => String(s.wrong), (s) => s.wrong, (s) => s.wrong > 0 ? 'wrong' : ''],
    ['largest error', (s) => error(s.largestError), (s) => s.largestError],
    ['cold start, ms', (s) => number(s.start), (s) => s.start],
    ['size, MB', (s) => number(s.megabytes), (s) => s.megabytes],
  ]);
  for (const standing of data.standings) {
    for (const reason of standing.missing) element(byId('missing'), 'li', `${standing.contestant}: ${reason}`);
  }
  fillTable('figures', data.rows, [
    ['cell', (r) => `${r.card} ${r.direction}`],
    ['contestant', (r) => r.contestant, undefined, () => 'name'],
    ['µs', (r) => number(r.microseconds), (r) => r.microseconds],
    ['± µs', (r) => number(r.margin), (r) => r.margin],
    ['GB/s', (r) => number(r.gigabytesPerSecond), (r) => r.gigabytesPerSecond],
    ['of the limit', (r) => r.share === null ? '–' : number(100 * r.share) + ' %', (r) => r.share],
    ['time', (r) => times(r.ratio), (r) => r.ratio],
    ['over F32', (r) => times(r.overF32), (r) => r.overF32],
    ['B/call', (r) => number(r.allocated === null ? null : Math.round(r.allocated)), (r) => r.allocated],
    ['error', (r) => error(r.error), (r) => r.error, (r) => r.wrong ? 'wrong' : ''],
  ]);
  byId('filter').addEventListener('input', (event) => {
    const words = event.target.value.toLowerCase().split(/\s+/);
    for (const line of byId('figures').tBodies[0].rows) {
      const text = line.textContent.toLowerCase();
      line.hidden = !words.every((word) => text.includes(word));
    }
  });
}

/** What a tight loop hides; not every race has it. */
function fillProgram() {
  byId('program').hidden = data.stacks.length === 0 && data.pauses.length === 0;
  fillTable('stacks', data.stacks, [
    ['step', (s) => s.step],
    ['NativeNorm, ms', (s) => number(s.own), (s) => s.own],
    ['PyTorch, ms', (s) => number(s.other), (s) => s.other],
    ['time', (s) => times(s.other / s.own), (s) => s.other / s.own],
    ['page faults', (s) => number(s.ownFaults), (s) => s.ownFaults],
    ["PyTorch's", (s) => number(s.otherFaults), (s) => s.otherFaults],
  ]);
  fillTable('pauses', data.pauses, [
    ['call', (p) => p.call],
    ['when', (p) => p.when, undefined, () => 'name'],
    ['µs', (p) => number(p.micros), (p) => p.micros],
    ['on one thread', (p) => number(p.alone), (p) => p.alone],
    ['over one thread', (p) => times(p.micros / p.alone), (p) => p.micros / p.alone],
  ]);
}

function makeBars() {
  for (const name of unique(data.rows.map((row) => row.direction))) {
    const button = element(byId('directions'), 'button', name);
    button.addEventListener('click', () => { direction = name; drawBars(); });
  }
  for (const card of unique(data.rows.map((row) => row.card))) {
    const row = data.rows.find((r) => r.card === card);
    const figure = element(byId('bars'), 'figure');
    element(figure, 'h3', card);
    element(figure, 'small', `${row.operation} normalization`);
    element(figure, 'div', undefined, 'chart').id = 'bars ' + card;
  }
}

function drawBars() {
  for (const button of byId('directions').children) {
    button.setAttribute('aria-pressed', button.textContent === direction);
  }
  const range = rangeOf(data.rows.filter((row) => row.direction === direction).map((row) => row.ratio));
  for (const card of unique(data.rows.map((row) => row.card))) {
    const rows = data.rows
      .filter((row) => row.card === card && row.direction === direction)
      .sort((a, b) => b.microseconds - a.microseconds);
    const base = (rows.find((row) => isOwn(row.contestant)) ?? rows.at(-1))?.microseconds;
    draw('bars ' + card, {
      grid: {left: 8, right: 104, top: 4, bottom: 4, containLabel: true},
      xAxis: {type: 'log', min: range[0], max: range[1], axisLabel: {formatter: (value) => number(value) + '×', fontSize: 11}},
      yAxis: {type: 'category', data: rows.map((row) => row.contestant), axisTick: {show: false}, axisLabel: {fontSize: 11},
        splitLine: {show: false}},
      series: [{
        type: 'scatter',
        label: {
          show: true, position: 'right', color: color('ink'), fontSize: 11,
          formatter: ({dataIndex}) => `${number(rows[dataIndex].microseconds)} µs  ${times(rows[dataIndex].ratio)}`,
        },
        data: rows.map((row) => ({
          value: [row.microseconds / base, row.contestant],
          symbolSize: isOwn(row.contestant) ? 12 : 9,
          symbol: row.wrong ? 'emptyCircle' : 'circle',
          itemStyle: {color: isOwn(row.contestant) ? color('accent') : color('others')},
        })),
      }],
    });
  }
}

/** Room for all of a direction, so that a place is the same time in each of its charts. */
function rangeOf(ratios) {
  const known = ratios.filter((ratio) => ratio !== null);
  const least = Math.min(1, ...known);
  const low = least >= 1 ? 1 : least >= 0.5 ? 0.5 : 10 ** Math.floor(Math.log10(least));
  return [low, 10 ** Math.ceil(Math.log10(Math.max(10, ...known)))];
}

function drawRoofline() {
  const line = Object.entries(data.streams).map(([size, micros]) => [Number(size), Number(size) / micros / 1e3]).sort((a, b) => a[0] - b[0]);
  draw('roofline', {
    tooltip: {formatter: ({seriesName, data: point}) => `${seriesName}<br>${point[2] ?? bytes(point[0])}<br>${number(point[1])} GB/s`},
    grid: {left: 8, right: 36, top: 36, bottom: 30, containLabel: true},
    xAxis: {type: 'log', logBase: 2, min: 4096, max: 2 ** 29, name: 'bytes moved', nameLocation: 'middle', nameGap: 30,
      axisLabel: {formatter: bytes, hideOverlap: true}},
    yAxis: {type: 'log', name: 'GB/s'},
    series: [
      {name: 'streaming limit', type: 'line', data: line, showSymbol: false, color: color('ink'), lineStyle: {width: 2}},
      ...contestants.map((contestant) => ({
        name: contestant, type: 'scatter', color: seriesColor(contestant), symbol: symbol(contestant),
        symbolSize: isOwn(contestant) ? 11 : 7,
        z: isOwn(contestant) ? 5 : 2,
        data: data.rows.filter((row) => row.contestant === contestant)
          .map((row) => [row.bytes, row.gigabytesPerSecond, `${row.card} ${row.direction}`]),
      })),
    ],
  });
}

function drawScaling(id, over, fixed, name) {
  const cell = data.calls.find((call) => call[over] > 1 && call.cell
    && data.calls.some((other) => other.cell === call.cell && other[over] !== call[over] && other[fixed] === call[fixed]))?.cell;
  byId(id + '-caption').textContent = cell === undefined ? 'Not measured.' : `Calls a second by ${name}: ${cell}.`;
  if (cell === undefined) return;
  const calls = data.calls.filter((call) => call.cell === cell);
  const most = Math.max(...calls.map((call) => call[fixed]));
  draw(id, {
    tooltip: {formatter: ({seriesName, data: point}) => `${seriesName}<br>${point[0]} ${over}: ${number(point[1])} calls/s`},
    grid: {left: 8, right: 16, top: 32, bottom: 30, containLabel: true},
    xAxis: {type: 'log', logBase: 2, name, nameLocation: 'middle', nameGap: 30},
    yAxis: {type: 'value', name: 'calls/s', min: 0},
    series: contestants.map((contestant) => {
      const points = new Map(calls
        .filter((call) => call.contestant === contestant && (over === 'callers' ? call.threads === most : call.callers === 1))
        .map((call) => [call[over], [call[over], call.callers / call.micros * 1e6]]));
      return {name: contestant, type: 'line', color: seriesColor(contestant), symbol: symbol(contestant), symbolSize: 8,
        data: [...points.values()].sort((a, b) => a[0] - b[0])};
    }).filter((series) => series.data.length > 1),
  });
}

function drawAccuracy() {
  const means = unique(data.errors.map((e) => e.mean)).sort((a, b) => a - b);
  draw('accuracy', {
    tooltip: {formatter: ({seriesName, name, value}) => `${seriesName}<br>mean ${name}: ${error(value)}`},
    grid: {left: 8, right: 16, top: 36, bottom: 30, containLabel: true},
    xAxis: {type: 'category', data: means.map(String), name: 'mean of the input', nameLocation: 'middle', nameGap: 30},
    yAxis: {type: 'log', name: 'error', axisLabel: {formatter: (value) => value.toExponential(0)}},
    series: contestants.map((contestant) => ({
      name: contestant, type: 'line', color: seriesColor(contestant), symbol: symbol(contestant),
      symbolSize: 8, lineStyle: {width: isOwn(contestant) ? 3 : 1.5},
      data: means.map((mean) => {
        const errors = data.errors.filter((e) => e.contestant === contestant && e.mean === mean).map((e) => e.error);
        return errors.length === 0 || errors.includes(null) ? null : Math.max(...errors);
      }),
    })),
  });
}

function drawAll() {
  drawBars();
  drawRoofline();
  drawScaling('threads', 'threads', 'callers', 'threads for one call');
  drawScaling('callers', 'callers', 'threads', 'concurrent callers');
  drawAccuracy();
}

drawSummary();
fillTables();
fillProgram();
makeBars();
drawAll();
dark.addEventListener('change', drawAll);
addEventListener('resize', () => charts.forEach((chart) => chart.resize()));
