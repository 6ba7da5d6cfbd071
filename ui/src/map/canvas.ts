import L from 'leaflet';

/** What a layer draws with: a context whose pixels are the map's own, and the map to convert places. */
export type Draw = (c: CanvasRenderingContext2D, map: L.Map, size: L.Point) => void;

/** A Leaflet layer that is one canvas over the whole map, drawn by hand whenever the map or its data move. */
export class CanvasLayer extends L.Layer {
  #canvas: HTMLCanvasElement | undefined;
  #frame = 0;

  constructor(
    private readonly draw: Draw,
    private readonly pane: string,
  ) {
    super();
  }

  override onAdd(map: L.Map): this {
    const canvas = L.DomUtil.create('canvas', 'leaflet-layer');
    canvas.setAttribute('aria-hidden', 'true');
    this.#canvas = canvas;
    map.getPane(this.pane)?.appendChild(canvas);
    map.on('move zoom viewreset resize', this.redraw, this);
    this.redraw();
    return this;
  }

  override onRemove(map: L.Map): this {
    map.off('move zoom viewreset resize', this.redraw, this);
    cancelAnimationFrame(this.#frame);
    this.#canvas?.remove();
    this.#canvas = undefined;
    return this;
  }

  /** Draws at the next frame, once, however often it is asked. */
  redraw(): void {
    cancelAnimationFrame(this.#frame);
    this.#frame = requestAnimationFrame(() => this.#paint());
  }

  #paint(): void {
    const map = this._map as L.Map | undefined;
    const canvas = this.#canvas;
    const c = canvas?.getContext('2d');
    if (!map || !canvas || !c) return;
    const size = map.getSize();
    const ratio = window.devicePixelRatio || 1;
    canvas.width = size.x * ratio;
    canvas.height = size.y * ratio;
    canvas.style.width = `${size.x}px`;
    canvas.style.height = `${size.y}px`;
    L.DomUtil.setPosition(canvas, map.containerPointToLayerPoint([0, 0]));
    c.scale(ratio, ratio);
    this.draw(c, map, size);
  }
}
