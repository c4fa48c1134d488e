'use strict';
{
  const COPIED_MILLISECONDS = 1500;
  const all = (selector, within = document) => [...within.querySelectorAll(selector)];

  function themeToggle() {
    const button = document.querySelector('.theme');
    const system = matchMedia('(prefers-color-scheme: dark)');
    const isDark = () => (document.documentElement.dataset.theme ?? (system.matches ? 'dark' : 'light')) === 'dark';
    const show = () => button.setAttribute('aria-pressed', isDark());
    button.addEventListener('click', () => {
      const theme = isDark() ? 'light' : 'dark';
      document.documentElement.dataset.theme = theme;
      try { localStorage.setItem('theme', theme); } catch { /* not remembered, then */ }
      show();
    });
    system.addEventListener('change', show);
    show();
    button.hidden = false;
  }

  function contents() {
    const sections = all('main > .section');
    const folded = document.querySelector('.contents.narrow');
    if (!folded) return;
    const visible = new Set();
    const mark = (section) => {
      for (const link of all('.contents li a')) {
        if (section && link.hash === `#${section.id}`) link.setAttribute('aria-current', 'location');
        else link.removeAttribute('aria-current');
      }
      const link = folded.querySelector('[aria-current]');
      folded.querySelector('.current').textContent = link ? link.textContent.trim().replace(/\s+/g, ' ') : '';
    };
    const observer = new IntersectionObserver((entries) => {
      for (const { target, isIntersecting } of entries) visible[isIntersecting ? 'add' : 'delete'](target);
      mark(sections.find((section) => visible.has(section)));
    }, { rootMargin: '-15% 0px -65% 0px' });
    sections.forEach((section) => observer.observe(section));
    folded.addEventListener('click', ({ target }) => { if (target.closest('a')) folded.open = false; });
  }

  function lightbox() {
    const dialog = document.querySelector('.lightbox');
    if (!dialog) return;
    const stage = dialog.querySelector('.enlarged');
    const open = (link) => {
      const view = link.closest('.view').cloneNode(true);
      view.querySelector('.enlarge').replaceWith(view.querySelector('img'));
      const caption = document.createElement('p');
      caption.innerHTML = link.closest('figure').querySelector('figcaption').innerHTML;
      stage.replaceChildren(view, caption);
      scroller(view);
      dialog.showModal();
    };
    document.addEventListener('click', (event) => {
      const link = event.target.closest('.enlarge');
      if (!link || event.ctrlKey || event.metaKey || event.shiftKey) return;
      event.preventDefault();
      open(link);
    });
    stage.addEventListener('click', () => dialog.close());
    dialog.addEventListener('close', () => stage.replaceChildren());
  }

  async function copy(button) {
    const code = button.parentElement.querySelector('code');
    const label = button.textContent;
    try {
      await navigator.clipboard.writeText(code.textContent);
      button.textContent = 'Copied';
    } catch {
      getSelection().selectAllChildren(code);
      button.textContent = 'Selected';
    }
    setTimeout(() => { button.textContent = label; }, COPIED_MILLISECONDS);
  }

  function copyButton(button) {
    button.setAttribute('aria-live', 'polite');
    button.addEventListener('click', () => copy(button));
    button.hidden = false;
  }

  /** Lets the keyboard reach what scrolls sideways, and only that; shows where it goes on. */
  function scroller(element) {
    const hint = () => {
      const rest = element.scrollWidth - element.clientWidth - element.scrollLeft;
      element.classList.toggle('more', rest > 1);
    };
    new ResizeObserver(() => {
      if (element.scrollWidth > element.clientWidth) element.tabIndex = 0;
      else element.removeAttribute('tabindex');
      hint();
    }).observe(element);
    element.addEventListener('scroll', hint, { passive: true });
  }

  themeToggle();
  contents();
  lightbox();
  all('.copy').forEach(copyButton);
  all('.view, table, pre, mjx-container[display="true"]').forEach(scroller);
}
