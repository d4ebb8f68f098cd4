// Draws the charts of a report from the JSON in the page. It computes no figure that the tables tell: those are written out.
'use strict';

(() => {
  const report = JSON.parse(document.getElementById('report').textContent);
  const POINTS = 400;
  const paper = matchMedia('print');
  const COLOURS = {
    acknowledgement: '--blue', push: '--amber', freshness: '--red', connect: '--grey',
    return: '--teal', bystander: '--violet', 'bystander-calm': '--violet',
  };
  const WHOLE_SECONDS = [1, 2, 5, 10, 20, 30, 60, 120, 300, 600, 1800, 3600, 7200, 21600, 86400];
  let plots = [];

  const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  const three = (number) => String(Number(number.toPrecision(3)));
  const none = (say) => (value) => (value == null ? '–' : say(value));
  const time = none((us) => (us < 999.5 ? `${three(us)} µs` : us < 999500 ? `${three(us / 1e3)} ms` : `${three(us / 1e6)} s`));
  const count = none((number) => number.toLocaleString('en-US', { maximumFractionDigits: 1 }));
  const short = (number) => (number >= 1e6 ? `${three(number / 1e6)}M` : number >= 1e4 ? `${three(number / 1e3)}k` : count(number));
  const mebibytes = none((bytes) => `${three(bytes / 1048576)} MiB`);
  const percent = none((number) => `${three(number)} %`);
  const percentile = (x) => `${+(100 - 100 / 10 ** x).toFixed(Math.max(0, Math.ceil(x) - 1) + (x < 1 ? 1 : 0))} %`;

  /** The time within which all but 1 in 10^x lie, for each x; null where fewer were timed than that. */
  function alongPercentiles(latency, xs) {
    const buckets = latency.buckets_us;
    const most = Math.log10(latency.count);
    let [at, sum] = [0, buckets[0][1]];
    return xs.map((x) => {
      if (x > most + xs[1]) return null;
      const rank = Math.min(latency.count, Math.ceil(latency.count * (1 - 10 ** -x)));
      while (sum < rank && at < buckets.length - 1) sum += buckets[++at][1];
      // A log scale has no 0.
      return Math.max(1, x >= most ? buckets.at(-1)[0] : buckets[at][0]);
    });
  }

  function percentiles() {
    const shown = Object.entries(report.latencies).filter(([, latency]) => latency.count > 0);
    if (!shown.length) return null;
    const end = Math.max(1, ...shown.map(([, latency]) => Math.log10(latency.count)));
    const xs = Array.from({ length: POINTS }, (_, at) => (at * end) / (POINTS - 1));
    return {
      data: [xs, ...shown.map(([, latency]) => alongPercentiles(latency, xs))],
      x: { label: 'percentile', say: percentile, splits: nines(end) },
      y: { say: time, log: true },
      series: shown.map(([name]) => ({ name, colour: COLOURS[name], dashed: name === 'bystander-calm' })),
    };
  }

  /** 0 %, 50 %, 90 %, 99 % and so on, as many as the width has room for. */
  function nines(end) {
    return (plot) => {
      const room = plot.width / end;
      const step = Math.ceil(55 / room);
      const decades = Array.from({ length: Math.floor(end / step) }, (_, at) => (at + 1) * step);
      return [0, ...(room > 150 ? [Math.log10(2)] : []), ...decades];
    };
  }

  /** A chart over the seconds. What was not measured, or never happened, is no series; without one there is no chart. */
  function overTime(y, series) {
    const seconds = report.seconds;
    const shown = series.filter(({ field }) => seconds.some((second) => second[field]));
    if (seconds.length < 2 || !shown.length) return null;
    return {
      data: [seconds.map((second) => second.at_s), ...shown.map(({ field }) => seconds.map((second) => second[field]))],
      x: { label: 'second', say: (x) => `${x} s` },
      y,
      series: shown,
      together: true,
    };
  }

  const charts = {
    percentiles,
    deliveries: () => overTime({ say: count, short }, [{ field: 'deliveries', name: 'delivered', colour: '--red' }]),
    writes: () => overTime({ say: count, short }, [
      { field: 'acknowledged', name: 'acknowledged', colour: '--blue' },
      { field: 'refused', name: 'refused', colour: '--amber' },
    ]),
    latency: () => overTime({ say: time, log: true }, [
      { field: 'acknowledgement_p50_us', name: 'p50', colour: '--blue' },
      { field: 'acknowledgement_p99_us', name: 'p99', colour: '--violet' },
    ]),
    cpu: () => overTime({ say: percent }, [{ field: 'server_cpu_percent', name: 'server', colour: '--teal' }]),
    memory: () => overTime({ say: mebibytes, unit: 1048576 }, [{ field: 'server_rss_bytes', name: 'server', colour: '--violet' }]),
  };

  /** The next of 1, 2, 5, 10, 20 … that is not below (`up`) or not above the value. */
  function round(value, up) {
    const decade = 10 ** Math.floor(Math.log10(value));
    const steps = [1, 2, 5, 10].map((step) => step * decade);
    return up ? steps.find((step) => step >= value) : steps.findLast((step) => step <= value);
  }

  /** From 0, with some room above; a log scale from one round time to another. */
  function range(log) {
    if (!log) return (_, low, high) => [0, (high || 1) * 1.08];
    return (_, low, high) => [round(Math.max(low || 1, 1), false), round(Math.max(high || 10, (low || 1) * 5), true)];
  }

  function axis(more) {
    return {
      stroke: colour('--soft'),
      font: '12px ui-sans-serif, system-ui, sans-serif',
      grid: { stroke: colour('--grid'), width: 1 },
      ticks: { show: false },
      ...more,
    };
  }

  /** Steps of 1, 2 or 5 of a unit, so that memory has round MiB. */
  function steps(unit) {
    return (u, _axis, low, high, incr) => {
      const step = Math.max(1, [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000].find((n) => n * unit >= incr) ?? 1e4) * unit;
      return Array.from({ length: Math.floor(high / step) + 1 }, (_, at) => at * step).filter((value) => value >= low);
    };
  }

  /** On a log scale a label at 1, where there are few decades at 2 and 5 too, and nowhere else. */
  function labelled(plot, splits) {
    const { min, max } = plot.scales.y;
    const leads = max / min > 300 ? [1] : [1, 2, 5];
    return splits.map((split) => (leads.includes(Math.round(split / 10 ** Math.floor(Math.log10(split) + 1e-9))) ? split : null));
  }

  /** Whether a line through the values would leave one of them out: it has nothing measured beside it. */
  function hasLoner(values) {
    return values.some((value, at) => value != null && values[at - 1] == null && values[at + 1] == null);
  }

  function options(chart, width, height) {
    const { x, y } = chart;
    return {
      width,
      height,
      padding: [10, 14, 0, 0],
      scales: { x: { time: false }, y: { distr: y.log ? 3 : 1, range: range(y.log) } },
      cursor: { y: false, points: { size: 7 }, ...(chart.together ? { sync: { key: 'seconds' } } : {}) },
      axes: [
        axis({ values: (_, splits) => splits.map((split) => x.say(split)), size: 28, space: 56, ...(x.splits ? { splits: x.splits } : { incrs: WHOLE_SECONDS }) }),
        axis({
          values: (_, splits) => splits.map((split) => (split == null ? '' : (y.short ?? y.say)(split))),
          size: 66,
          ...(y.log ? { filter: labelled } : {}),
          ...(y.unit ? { splits: steps(y.unit) } : {}),
        }),
      ],
      series: [
        { label: x.label, value: (_, value) => (value == null ? '' : x.say(value)) },
        ...chart.series.map(({ name, colour: variable, dashed }, at) => ({
          label: name,
          stroke: colour(variable),
          width: 2,
          // The area only where a line stands alone: two would cover each other.
          fill: chart.together && chart.series.length === 1 ? `${colour(variable)}22` : undefined,
          dash: dashed ? [6, 4] : undefined,
          points: { show: hasLoner(chart.data[at + 1]), size: 6 },
          value: (_, value) => (value == null ? '' : y.say(value)),
        })),
      ],
    };
  }

  function draw() {
    plots.forEach(({ plot }) => plot.destroy());
    plots = [];
    for (const place of document.querySelectorAll('[data-chart]')) {
      const chart = charts[place.dataset.chart]();
      if (!chart) {
        place.closest('.card').remove();
        continue;
      }
      const height = place.dataset.chart !== 'percentiles' ? 170 : paper.matches ? 230 : 320;
      const plot = new uPlot(options(chart, place.clientWidth, height), chart.data, place);
      plots.push({ place, plot });
    }
    document.getElementById('seconds').hidden = !document.querySelector('#seconds .card');
  }

  function fit() {
    for (const { place, plot } of plots) {
      if (place.clientWidth && place.clientWidth !== plot.width) plot.setSize({ width: place.clientWidth, height: plot.height });
    }
  }

  function save() {
    const link = document.createElement('a');
    link.href = URL.createObjectURL(new Blob([JSON.stringify(report)], { type: 'application/json' }));
    link.download = `tallycast-bench-${report.run.scenario}.json`;
    link.click();
    URL.revokeObjectURL(link.href);
  }

  draw();
  addEventListener('resize', fit);
  matchMedia('(prefers-color-scheme: dark)').addEventListener('change', draw);
  // Paper is light whatever the screen is; the style is paper's only once the medium has changed.
  paper.addEventListener('change', draw);
  document.getElementById('save').addEventListener('click', save);
})();
