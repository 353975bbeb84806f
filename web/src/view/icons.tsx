/** The icons: lines on a grid of 24, in the colour of the text. */

const PATHS = {
  select: "M6 3l12 9-6 1.2L9 19z",
  click: "M12 3v5M12 16v5M3 12h5M16 12h5M12 12h.01",
  brush: "M14.5 4.5l5 5-8.5 8.5-5-5zM6 13l-2.5 7.5L11 18",
  erase: "M8.5 19.5L3.5 14.5 14 4l6.5 6.5-9 9zM8.5 9.5l6.5 6.5M8.5 19.5H20",
  polygon: "M5 8l7-4 7 5-2 9-9 2zM5 8h.01M12 4h.01M19 9h.01M17 18h.01M8 20h.01",
  gaze: "M12 10a2 2 0 100 4 2 2 0 000-4zM12 3.5a8.5 8.5 0 018.5 8.5M20 15.5a8.5 8.5 0 01-4.5 4.2M12 20.5a8.5 8.5 0 01-7.4-4.2M3.5 12a8.5 8.5 0 014.3-7.4",
  undo: "M9 14L4 9l5-5M4 9h10a6 6 0 010 12h-3",
  redo: "M15 14l5-5-5-5M20 9H10a6 6 0 000 12h3",
  previous: "M15 5l-7 7 7 7",
  next: "M9 5l7 7-7 7",
  done: "M4 12.5l5.5 5.5L20 7",
  skip: "M5 5l8 7-8 7zM18 5v14",
  copy: "M9 9h11v11H9zM5 15H4V4h11v1",
  everything: "M4 4h6v6H4zM14 4h6v6h-6zM4 14h6v6H4zM14 14h6v6h-6z",
  search: "M10.5 4a6.5 6.5 0 100 13 6.5 6.5 0 000-13zM20 20l-4.8-4.8",
  plus: "M12 5v14M5 12h14",
  minus: "M5 12h14",
  fit: "M4 9V4h5M15 4h5v5M20 15v5h-5M9 20H4v-5",
  eye: "M2 12s3.6-6.5 10-6.5S22 12 22 12s-3.6 6.5-10 6.5S2 12 2 12zM12 9a3 3 0 100 6 3 3 0 000-6z",
  hidden: "M3 3l18 18M10.6 5.6A9.8 9.8 0 0112 5.5C18.4 5.5 22 12 22 12a17 17 0 01-2.8 3.5M6.5 7.3A16.5 16.5 0 002 12s3.6 6.5 10 6.5a9.6 9.6 0 004-.9",
  delete: "M4 7h16M9 7V4h6v3M6.5 7l1 13h9l1-13M10 11v5M14 11v5",
  up: "M6 15l6-6 6 6",
  down: "M6 9l6 6 6-6",
  export: "M12 15V4M8 8l4-4 4 4M4 15v5h16v-5",
  import: "M12 4v11M8 11l4 4 4-4M4 15v5h16v-5",
  theme: "M12 3a9 9 0 100 18zM12 3a9 9 0 010 18",
  help: "M9.2 9a3 3 0 115 2.2c-1.2 1-2.2 1.5-2.2 3M12 18h.01",
  settings: "M4 7h10M18 7h2M16 5v4M4 17h2M10 17h10M8 15v4",
  images: "M4 5h16v14H4zM4 16l5-5 4 4 3-3 4 4M15 9h.01",
  panels: "M4 5h16v14H4zM15 5v14",
  close: "M6 6l12 12M18 6L6 18",
  tidy: "M5 20l9-9M14 4l1.2 2.8L18 8l-2.8 1.2L14 12l-1.2-2.8L10 8l2.8-1.2zM19 13l.7 1.3L21 15l-1.3.7L19 17l-.7-1.3L17 15l1.3-.7z",
  edit: "M4 20l1-4L16 5l3 3L8 19zM14 7l3 3",
  person: "M12 4a4 4 0 100 8 4 4 0 000-8zM4 20c1-4 4-5.5 8-5.5s7 1.5 8 5.5",
  lock: "M6 11h12v9H6zM8.5 11V8a3.5 3.5 0 017 0v3",
} as const;

export type IconName = keyof typeof PATHS;

export function Icon({ name }: { name: IconName }) {
  return (
    <svg class="icon" viewBox="0 0 24 24" aria-hidden="true" focusable="false">
      <path d={PATHS[name]} />
    </svg>
  );
}
