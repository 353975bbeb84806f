/** The list of images on the left: search, filter, and a row for each that is in sight. */

import { useComputed, useSignal, useSignalEffect } from "@preact/signals";
import { useEffect, useRef } from "preact/hooks";
import type { ImageRecord, Status } from "../api/types";
import { usePage } from "./context";
import { Icon } from "./icons";

const ROW = 60;
const MORE = 6;
const SEARCH_MS = 250;

const STATUSES: [Status | "", string][] = [
  ["", "All"],
  ["new", "New"],
  ["started", "Started"],
  ["done", "Done"],
  ["skipped", "Skipped"],
];

export function GalleryPanel() {
  const { gallery } = usePage().app;
  return (
    <aside class="panel gallery" aria-label="Images">
      <GalleryFilter />
      {gallery.problem.value && <p class="problem">{gallery.problem.value}</p>}
      <Rows />
      <UploadButton />
    </aside>
  );
}

function GalleryFilter() {
  const { gallery } = usePage().app;
  const timer = useRef<ReturnType<typeof setTimeout>>(undefined);
  const search = (text: string): void => {
    gallery.search.value = text;
    clearTimeout(timer.current);
    timer.current = setTimeout(() => void gallery.reload(), SEARCH_MS);
  };
  return (
    <div class="filter">
      <label class="visually-hidden" for="image-search">
        Search images
      </label>
      <input
        id="image-search"
        type="search"
        placeholder="Search (/)"
        value={gallery.search.value}
        onInput={(event) => search(event.currentTarget.value)}
      />
      <label class="visually-hidden" for="image-status">
        Status
      </label>
      <select
        id="image-status"
        value={gallery.status.value}
        onChange={(event) => {
          gallery.status.value = event.currentTarget.value as Status | "";
          void gallery.reload();
        }}
      >
        {STATUSES.map(([value, text]) => (
          <option key={value} value={value}>
            {text}
          </option>
        ))}
      </select>
    </div>
  );
}

/** Only the rows in sight exist; the list may have a hundred thousand. */
function Rows() {
  const { app } = usePage();
  const { gallery } = app;
  const box = useRef<HTMLDivElement>(null);
  const top = useSignal(0);
  const height = useSignal(600);
  const first = useComputed(() => Math.max(0, Math.floor(top.value / ROW) - MORE));
  const end = useComputed(() => Math.min(gallery.total.value, Math.ceil((top.value + height.value) / ROW) + MORE));
  useSignalEffect(() => void gallery.show(first.value, end.value));
  useEffect(() => {
    const observer = new ResizeObserver(() => (height.value = box.current!.clientHeight));
    observer.observe(box.current!);
    return () => observer.disconnect();
  }, [height]);
  const current = app.opening.value?.id ?? app.imageId.value;
  const place = current === null ? null : gallery.placeOf(current);
  useEffect(() => {
    const rows = box.current;
    if (place === null || !rows) return;
    if (place * ROW < rows.scrollTop) rows.scrollTop = place * ROW;
    else if ((place + 1) * ROW > rows.scrollTop + rows.clientHeight) rows.scrollTop = (place + 1) * ROW - rows.clientHeight;
  }, [place]);
  const places = Array.from({ length: Math.max(0, end.value - first.value) }, (_, i) => first.value + i);
  return (
    <div class="rows" ref={box} onScroll={(event) => (top.value = event.currentTarget.scrollTop)}>
      <ul style={{ height: `${gallery.total.value * ROW}px` }} aria-label={`${gallery.total.value} images`}>
        {places.map((at) => (
          <li key={at} style={{ transform: `translateY(${at * ROW}px)` }}>
            <Row image={gallery.at(at)} isCurrent={at === place} />
          </li>
        ))}
      </ul>
    </div>
  );
}

function Row({ image, isCurrent }: { image: ImageRecord | null; isCurrent: boolean }) {
  const { app } = usePage();
  if (!image) return <div class="row empty" />;
  const status = STATUSES.find(([value]) => value === image.status)?.[1] ?? image.status;
  return (
    <button
      type="button"
      class="row"
      aria-current={isCurrent}
      title={image.problem ?? image.name}
      onClick={() => void app.open(image)}
    >
      <img src={image.problem ? undefined : app.backend.thumbnail(image)} alt="" loading="lazy" width={56} height={48} />
      <span class="row-text">
        <span class="row-name">{image.name}</span>
        <small>
          <span class={`status ${image.status}`}>{image.problem ? "Problem" : status}</span>
          {image.objects > 0 && ` · ${image.objects} object${image.objects === 1 ? "" : "s"}`}
          {image.locked_by && image.locked_by !== app.session.value?.person && ` · ${image.locked_by} has it`}
        </small>
      </span>
    </button>
  );
}

function UploadButton() {
  const { app } = usePage();
  const input = useRef<HTMLInputElement>(null);
  if (!app.session.value?.limits.upload_bytes) return null;
  return (
    <div class="upload">
      <button type="button" class="button" onClick={() => input.current?.click()}>
        <Icon name="plus" />
        <span>Add images</span>
      </button>
      <input
        ref={input}
        type="file"
        accept="image/*"
        multiple
        hidden
        aria-label="Images to upload"
        onChange={(event) => {
          void app.upload([...(event.currentTarget.files ?? [])]);
          event.currentTarget.value = "";
        }}
      />
    </div>
  );
}
