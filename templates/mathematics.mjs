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
  svg: { fontCache: 'none' },
  options: { enableAssistiveMml: true },
  startup: { typeset: false },
});

// What MathJax notes for its own menu and explorer, half of the bytes.
const NOTES = / data-(?:latex|mml-node|c|mjx-[a-z-]+)="[^"]*"/g;
const adaptor = MathJax.startup.adaptor;
const answers = [];
for (const [tex, display] of JSON.parse(await text(process.stdin))) {
  try {
    const node = await MathJax.tex2svgPromise(tex, { display });
    answers.push({ html: adaptor.outerHTML(node).replace(NOTES, '') });
  } catch (error) {
    answers.push({ error: error.message });
  }
}
process.stdout.write(JSON.stringify(answers));
