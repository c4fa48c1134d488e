// Reads [[TeX, display], …] from standard input, writes [{html} or {error}, …] to standard output.
// Each formula comes out as one mjx-container: an SVG with its glyphs inside, and MathML for readers
// of screens. Nothing is fetched: MathJax and its font are files under node_modules.
import { createRequire } from 'node:module';
import { text } from 'node:stream/consumers';

const require = createRequire(import.meta.url);
const MathJax = require('mathjax');

await MathJax.init({
  loader: { load: ['input/tex', 'output/svg', 'a11y/assistive-mml'] },
  tex: { packages: { '[-]': ['noundefined', 'noerrors'] }, formatError: (_, error) => { throw error; } },
  svg: { fontCache: 'none', linebreaks: { inline: false } },
  options: { enableAssistiveMml: true },
  startup: { typeset: false },
});

// What MathJax notes for its own menu and explorer, half of the bytes.
const NOTES = / data-(?:latex|mml-node|c|mjx-[a-z-]+)="[^"]*"/g;
// An inline formula wider than this may break at its relations and operators, so that lines of a
// narrow screen can hold it; a shorter one is a word.
const WIDEST = 24;
const { adaptor, output } = MathJax.startup;
const width = (html) => parseFloat(html.match(/<svg[^>]* width="([\d.]+)ex"/)?.[1] ?? 0);

async function rendered(tex, display, inline) {
  output.options.linebreaks.inline = inline;
  return adaptor.outerHTML(await MathJax.tex2svgPromise(tex, { display })).replace(NOTES, '');
}

const answers = [];
for (const [tex, display] of JSON.parse(await text(process.stdin))) {
  try {
    const html = await rendered(tex, display, false);
    const isLong = !display && width(html) > WIDEST;
    answers.push({ html: isLong ? await rendered(tex, display, true) : html });
  } catch (error) {
    answers.push({ error: error.message });
  }
}
process.stdout.write(JSON.stringify(answers));
