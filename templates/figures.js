'use strict';
{
  const FRAME_MILLISECONDS = 350;
  const TURN_MILLISECONDS = 1400;
  const FARTHEST = 10;
  const UNDOS = 40;
  const RELEASE_MILLISECONDS = 60000;
  const MARGIN = 1;
  const all = (selector, within = document) => [...within.querySelectorAll(selector)];
  const wantsStillness = matchMedia('(prefers-reduced-motion: reduce)');

  function animation(figure) {
    const button = figure.querySelector('.play');
    const still = figure.querySelector('.still');
    let isPlaying = !wantsStillness.matches;
    const show = () => {
      figure.dataset.playing = isPlaying;
      button.textContent = isPlaying ? 'Pause' : 'Play';
    };
    still.loading = 'eager';
    button.addEventListener('click', () => { isPlaying = !isPlaying; show(); });
    button.parentElement.hidden = false;
    show();
  }

  /** Puts what can be touched in the place of a sheet, with a button that brings the sheet back. */
  function touchable(figure, draw, changed = () => {}) {
    const [sheet, touched] = all('.view', figure);
    const controls = figure.querySelector('.controls');
    const everything = controls.querySelector('.all');
    const image = sheet.querySelector('img');
    const show = (isSheet) => {
      sheet.hidden = !isSheet;
      touched.hidden = isSheet;
      for (const part of controls.children) part.hidden = isSheet && part !== everything;
      everything.setAttribute('aria-pressed', isSheet);
      changed();
    };
    everything.addEventListener('click', () => show(sheet.hidden));
    controls.hidden = false;
    show(false);
    const observer = new IntersectionObserver((entries) => {
      if (!entries.some((entry) => entry.isIntersecting)) return;
      observer.disconnect();
      image.loading = 'eager';
      image.decode().then(() => draw(image), () => { show(true); controls.hidden = true; });
    }, { rootMargin: '150% 0px' });
    observer.observe(figure);
  }

  /** Draws one image of a sheet, without its margin, over a whole canvas. */
  function drawCell(canvas, sheet, index) {
    const { width, height } = canvas;
    const x = MARGIN + index * (width + 2 * MARGIN);
    const pen = canvas.getContext('2d');
    pen.clearRect(0, 0, width, height);
    pen.drawImage(sheet, x, MARGIN, width, height, 0, 0, width, height);
  }

  /** Turns a sheet with one column per step into one step at a time, its images side by side. */
  function scrubber(figure) {
    const [play, slider, label] = figure.querySelector('.controls').children;
    const range = slider.querySelector('input');
    const canvas = figure.querySelector('canvas');
    const steps = range.dataset.steps.split('\n');
    const rows = Number(canvas.dataset.images);
    let image = null;
    let timer = 0;

    const draw = () => {
      const step = range.valueAsNumber;
      label.textContent = steps[step];
      range.setAttribute('aria-valuetext', steps[step]);
      if (!image) return;
      const [width, height] = [canvas.width / rows, canvas.height];
      const pen = canvas.getContext('2d');
      pen.clearRect(0, 0, canvas.width, height);
      for (let row = 0; row < rows; row++) {
        pen.drawImage(image, step * width, row * height, width, height, row * width, 0, width, height);
      }
    };
    const stop = () => {
      clearInterval(timer);
      timer = 0;
      play.textContent = 'Play';
    };
    const advance = () => {
      range.valueAsNumber += 1;
      draw();
      if (range.value === range.max) stop();
    };
    const start = () => {
      if (range.value === range.max) range.value = 0;
      draw();
      timer = setInterval(advance, FRAME_MILLISECONDS);
      play.textContent = 'Pause';
    };
    play.addEventListener('click', () => (timer ? stop() : start()));
    range.addEventListener('input', () => { stop(); draw(); });
    touchable(figure, (sheet) => { image = sheet; draw(); }, stop);
    draw();
  }

  /** Turns an image into its views: by a motion, frame by frame, or by fading the view in. */
  function turning(figure) {
    const turned = figure.querySelector('.turned');
    const buttons = all('.choices button', figure);
    const [base, ...layers] = all('canvas', turned);
    const motions = turned.dataset.motions.split(' ');
    const faded = motions.flatMap((motion, view) => (motion === 'fade' ? [view] : []));
    const count = Number(turned.dataset.frames ?? 0);
    let sheet = null;
    let strip = null;
    let view = 0;
    let frame = 0;
    let request = 0;

    const drawFrame = () => {
      if (frame === 0 || frame === count - 1) { drawCell(base, sheet, frame ? 1 : 0); return; }
      base.getContext('2d').drawImage(strip, frame * base.width, 0, base.width, base.height, 0, 0, base.width, base.height);
    };
    const play = (last) => {
      cancelAnimationFrame(request);
      const [first, began] = [frame, performance.now()];
      const step = (now) => {
        const passed = Math.round((count - 1) * Math.max(0, now - began) / TURN_MILLISECONDS);
        frame = first < last ? Math.min(last, first + passed) : Math.max(last, first - passed);
        drawFrame();
        if (frame !== last) request = requestAnimationFrame(step);
      };
      request = requestAnimationFrame(step);
    };
    const show = (chosen) => {
      view = chosen;
      buttons.forEach((button, index) => button.setAttribute('aria-pressed', index === view));
      if (strip && !wantsStillness.matches) { play(view ? count - 1 : 0); return; }
      turned.dataset.motion = motions[view];
      layers.forEach((layer, index) => layer.classList.toggle('shown', faded[index] === view));
    };
    const draw = (image) => {
      sheet = image;
      drawCell(base, sheet, 0);
      layers.forEach((layer, index) => drawCell(layer, sheet, faded[index]));
      if (!count) return;
      const between = new Image();
      between.src = turned.dataset.strip;
      between.decode().then(() => { if (!view) strip = between; }, () => {});
    };
    buttons.forEach((button, index) => button.addEventListener('click', () => show(index)));
    turned.addEventListener('click', () => show((view + 1) % buttons.length));
    touchable(figure, draw);
    show(0);
  }

  function comparison(figure) {
    const compared = figure.querySelector('.compared');
    const range = figure.querySelector('input');
    const [before, after] = all('.slider span', figure).map((label) => label.textContent);
    const show = () => {
      const share = range.valueAsNumber;
      compared.style.setProperty('--split', `${share}%`);
      range.setAttribute('aria-valuetext', `${100 - share} % ${before}, ${share} % ${after}`);
    };
    const point = (event) => {
      if (!event.buttons) return;
      const box = compared.getBoundingClientRect();
      range.valueAsNumber = 100 * (event.clientX - box.left) / box.width;
      show();
    };
    compared.addEventListener('pointerdown', (event) => {
      compared.setPointerCapture(event.pointerId);
      point(event);
    });
    compared.addEventListener('pointermove', point);
    range.addEventListener('input', show);
    touchable(figure, (sheet) => all('canvas', compared).forEach((canvas, index) => drawCell(canvas, sheet, index)));
    show();
  }

  function distance(figure) {
    const moved = figure.querySelector('.moved');
    const range = figure.querySelector('input');
    const show = () => {
      const times = FARTHEST ** (range.valueAsNumber / 100);
      moved.style.setProperty('--times', times);
      moved.classList.toggle('far', times > 1);
      range.setAttribute('aria-valuetext', times > 1 ? `${times.toFixed(1)} times as far` : 'near');
    };
    range.addEventListener('input', show);
    touchable(figure, () => {});
    show();
  }

  /** A sheet to draw on, by pointer or by arrow keys, that goes away as a PNG. */
  function pad(figure) {
    const [easel, controls] = [figure.querySelector('.easel'), figure.querySelector('.controls')];
    const [canvas, cursor] = easel.children;
    const [undo, clear, save] = ['.undo', '.clear', '.save'].map((name) => controls.querySelector(name));
    const brush = controls.querySelector('[type="range"]');
    const other = controls.querySelector('[type="color"]');
    const pen = canvas.getContext('2d', { willReadFrequently: true });
    const { width, height } = canvas;
    const before = [];
    const at = { x: width / 2, y: height / 2 };
    let colour = other.value;
    let isDown = false;

    const show = () => {
      undo.disabled = clear.disabled = before.length === 0;
      cursor.style.translate = `calc(${100 * at.x / width}cqw - 50%) calc(${100 * at.y / height}cqh - 50%)`;
      cursor.style.width = `${100 * brush.valueAsNumber / width}cqw`;
      cursor.classList.toggle('down', isDown);
    };
    const remember = () => {
      before.push(pen.getImageData(0, 0, width, height));
      if (before.length > UNDOS) before.shift();
    };
    const lineTo = (x, y) => {
      pen.strokeStyle = colour;
      pen.lineWidth = brush.valueAsNumber;
      pen.lineCap = 'round';
      pen.beginPath();
      pen.moveTo(at.x, at.y);
      // A line without length would leave no dot.
      pen.lineTo(x + (x === at.x && y === at.y ? .01 : 0), y);
      pen.stroke();
    };
    const move = (x, y) => {
      if (isDown) lineTo(x, y);
      Object.assign(at, { x, y });
      show();
    };
    const place = (event) => {
      const box = canvas.getBoundingClientRect();
      return [(event.clientX - box.left) * width / box.width, (event.clientY - box.top) * height / box.height];
    };
    const putDown = () => {
      remember();
      isDown = true;
      move(at.x, at.y);
    };
    const lift = () => { isDown = false; show(); };
    const paper = () => {
      pen.fillStyle = '#fff';
      pen.fillRect(0, 0, width, height);
    };
    const steps = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
    const key = (event) => {
      if (event.key === ' ') (isDown ? lift : putDown)();
      else if (event.key in steps) {
        const length = event.shiftKey ? width / 8 : width / 64;
        const [x, y] = steps[event.key].map((step) => step * length);
        move(Math.min(width, Math.max(0, at.x + x)), Math.min(height, Math.max(0, at.y + y)));
      } else return;
      event.preventDefault();
    };
    const download = () => canvas.toBlob((file) => {
      const link = document.createElement('a');
      link.href = URL.createObjectURL(file);
      link.download = 'drawing.png';
      link.click();
      setTimeout(() => URL.revokeObjectURL(link.href), RELEASE_MILLISECONDS);
    });

    canvas.addEventListener('pointerdown', (event) => {
      if (event.button) return;
      canvas.setPointerCapture(event.pointerId);
      isDown = false;
      move(...place(event));
      putDown();
    });
    canvas.addEventListener('pointermove', (event) => { if (event.buttons & 1 && isDown) move(...place(event)); });
    for (const end of ['pointerup', 'pointercancel', 'blur']) canvas.addEventListener(end, lift);
    canvas.addEventListener('keydown', key);
    for (const choice of all('[type="radio"]', controls)) {
      choice.addEventListener('change', () => { colour = choice.value; });
    }
    other.addEventListener('input', () => {
      colour = other.value;
      for (const choice of all('[type="radio"]', controls)) choice.checked = false;
    });
    brush.addEventListener('input', show);
    undo.addEventListener('click', () => { pen.putImageData(before.pop(), 0, 0); show(); });
    clear.addEventListener('click', () => { remember(); paper(); show(); });
    save.addEventListener('click', download);
    for (const part of [easel, controls, figure.querySelector('.keys')]) part.hidden = false;
    figure.querySelector('.unscripted').hidden = true;
    paper();
    show();
  }

  const kinds = { animation, trajectory: scrubber, turning, comparison, distance, pad };
  for (const [kind, start] of Object.entries(kinds)) all(`figure.${kind}`).forEach(start);
}
