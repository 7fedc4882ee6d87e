// The player of an item: audio by ranges of the whole episode, the waveform of the item and its context, and the word that is
// spoken. All times are seconds on the episode's clock.

const SPEEDS = [0.5, 0.75, 1, 1.25, 1.5, 1.75, 2, 2.5, 3];
const LANE = 10; // px, for the speakers below the waveform
const MARGIN = 0.05; // s; seeking is not exact to the sample

const stored = {
  get(name, otherwise) {
    try {
      return JSON.parse(localStorage.getItem(`review.${name}`)) ?? otherwise;
    } catch {
      return otherwise;
    }
  },
  set(name, value) {
    try {
      localStorage.setItem(`review.${name}`, JSON.stringify(value));
    } catch { /* private windows may have none: the choice holds until the page is left */ }
  },
};

const format = (seconds) => {
  const tenths = Math.max(0, Math.round(seconds * 10));
  const hours = Math.floor(tenths / 36000);
  const minutes = Math.floor(tenths / 600) % 60;
  const rest = ((tenths % 600) / 10).toFixed(1).padStart(4, "0");
  return hours ? `${hours}:${String(minutes).padStart(2, "0")}:${rest}` : `${minutes}:${rest}`;
};

export class Player {
  constructor(data, say) {
    this.data = data;
    this.say = say;
    this.offset = 0; // where the file begins on the episode's clock
    this.peaks = null;
    this.ended = new AbortController();
    this.audio = document.querySelector("#audio");
    this.wave = document.querySelector("#wave");
    this.canvas = document.querySelector("#waveform");
    this.playhead = document.querySelector("#playhead");
    this.loop = document.querySelector("#loop");
    this.autoplay = document.querySelector("#autoplay");
    this.words = [...document.querySelectorAll(".w[data-start]")].map((element) => ({
      element, start: Number(element.dataset.start), end: Number(element.dataset.end),
    }));
    this.within = true; // stops once at the item's end, and plays on when asked again
    this.wanted = data.item[0];
    this.listen();
    this.loop.checked = stored.get("loop", false);
    this.autoplay.checked = stored.get("autoplay", true);
    this.setSpeed(stored.get("speed", 1));
    this.draw();
    this.load();
  }

  listen() {
    const { signal } = this.ended;
    const on = (target, name, action) => target.addEventListener(name, action, { signal });
    on(document.querySelector("#play"), "click", () => this.toggle());
    for (const button of document.querySelectorAll("[data-seek]")) {
      on(button, "click", () => this.seek(this.now + Number(button.dataset.seek)));
    }
    on(document.querySelector("#slower"), "click", () => this.changeSpeed(-1));
    on(document.querySelector("#faster"), "click", () => this.changeSpeed(1));
    on(this.loop, "change", () => stored.set("loop", this.loop.checked));
    on(this.autoplay, "change", () => stored.set("autoplay", this.autoplay.checked));
    on(this.wave, "pointerdown", (event) => {
      const box = this.wave.getBoundingClientRect();
      const [start, end] = this.data.clip;
      this.seek(start + ((event.clientX - box.left) / box.width) * (end - start));
    });
    for (const word of this.words) on(word.element, "click", () => this.seek(word.start));
    on(this.audio, "play", () => { this.showPlaying(); this.follow(); });
    on(this.audio, "pause", () => this.showPlaying());
    on(this.audio, "loadedmetadata", () => this.seek(this.wanted));
    on(this.audio, "seeked", () => this.showPosition());
    on(this.audio, "error", () => this.say("The audio of this item cannot be played.", true));
    on(window, "resize", () => this.draw());
    on(matchMedia("(prefers-color-scheme: dark)"), "change", () => this.draw());
  }

  async load() {
    try {
      const answer = await fetch(this.data.peaks, { signal: this.ended.signal });
      if (!answer.ok) throw new Error(String(answer.status));
      this.peaks = await answer.json();
    } catch (error) {
      if (error.name !== "AbortError") this.say("The waveform of this item cannot be shown.", true);
      return;
    }
    this.offset = this.peaks.offset;
    this.draw();
    if (this.audio.readyState >= 1) this.seek(this.wanted);
    if (this.autoplay.checked) this.play();
  }

  end() {
    this.ended.abort();
    this.audio.pause();
    this.audio.removeAttribute("src");
    this.audio.load(); // ends the download
  }

  get now() {
    return this.audio.readyState >= 1 ? this.audio.currentTime + this.offset : this.wanted;
  }

  seek(time) {
    const [start, end] = this.data.clip;
    this.wanted = Math.min(Math.max(time, start), end);
    this.within = this.wanted < this.data.item[1];
    if (this.audio.readyState >= 1) this.audio.currentTime = Math.max(0, this.wanted - this.offset);
    this.showPosition();
  }

  async play() {
    const [start, end] = this.data.item;
    if (this.loop.checked && this.now >= end - MARGIN) this.seek(start);
    if (this.now >= this.data.clip[1] - MARGIN) this.seek(start);
    try {
      await this.audio.play();
    } catch (error) {
      // browsers play nothing before the first key or click
      if (error.name === "NotAllowedError") this.say("Press space to listen.");
      else if (error.name !== "AbortError") this.say("The audio of this item cannot be played.", true);
    }
  }

  toggle() {
    if (this.audio.paused) this.play();
    else this.audio.pause();
  }

  setSpeed(speed) {
    this.audio.playbackRate = this.audio.defaultPlaybackRate = speed;
    document.querySelector("#speed").textContent = `${speed}×`;
    stored.set("speed", speed);
  }

  changeSpeed(steps) {
    const at = SPEEDS.indexOf(this.audio.playbackRate);
    this.setSpeed(SPEEDS[Math.min(Math.max((at < 0 ? 2 : at) + steps, 0), SPEEDS.length - 1)]);
  }

  key(key) {
    if (key === " " || key === "k") this.toggle();
    else if (key === "ArrowLeft") this.seek(this.now - 2);
    else if (key === "ArrowRight") this.seek(this.now + 2);
    else if (key === "Home" || key === "h") this.seek(this.data.item[0]);
    else if (key === ",") this.seekWord(-1);
    else if (key === ".") this.seekWord(1);
    else if (key === "[") this.changeSpeed(-1);
    else if (key === "]") this.changeSpeed(1);
    else if (key === "o") this.loop.click();
    else return false;
    return true;
  }

  seekWord(step) {
    const starts = this.words.map((word) => word.start);
    const next = step > 0 ? starts.find((start) => start > this.now + MARGIN)
      : starts.findLast((start) => start < this.now - MARGIN);
    if (next !== undefined) this.seek(next);
  }

  follow() {
    if (this.audio.paused || this.ended.signal.aborted) return;
    const [start, end] = this.data.item;
    if (this.loop.checked && this.now >= end) this.seek(start);
    else if (this.within && this.now >= end) {
      this.within = false;
      this.audio.pause();
    } else if (this.now >= this.data.clip[1]) this.audio.pause();
    this.showPosition();
    requestAnimationFrame(() => this.follow());
  }

  showPlaying() {
    document.querySelector("#play").textContent = this.audio.paused ? "Play" : "Pause";
    this.showPosition();
  }

  showPosition() {
    const [start, end] = this.data.clip;
    const at = Math.min(Math.max(this.now - start, 0), end - start);
    this.playhead.style.left = `${(100 * at) / (end - start || 1)}%`;
    this.wave.setAttribute("aria-valuenow", at.toFixed(1));
    this.wave.setAttribute("aria-valuetext", format(this.now));
    document.querySelector("#clock").textContent = format(this.now);
    for (const word of this.words) {
      // a little early, because the last word that began is the one that is heard
      const lit = this.now >= word.start - MARGIN / 2 && this.now < Math.max(word.end, word.start + MARGIN);
      if (lit !== word.lit) word.element.classList.toggle("now", lit);
      word.lit = lit;
    }
  }

  draw() {
    // canvases do not know light-dark(): an element resolves the colour
    const color = (name) => {
      this.wave.style.color = `var(${name})`;
      return getComputedStyle(this.wave).color;
    };
    const ratio = window.devicePixelRatio || 1;
    const width = this.wave.clientWidth;
    const height = this.wave.clientHeight;
    if (!width) return;
    this.canvas.width = width * ratio;
    this.canvas.height = height * ratio;
    const context = this.canvas.getContext("2d");
    context.scale(ratio, ratio);
    const [start, end] = this.data.clip;
    const x = (time) => ((time - start) / (end - start || 1)) * width;
    context.fillStyle = color("--panel");
    context.fillRect(x(this.data.item[0]), 0, x(this.data.item[1]) - x(this.data.item[0]), height - LANE - 4);
    this.drawPeaks(context, width, height - LANE - 4, x, color);
    for (const segment of this.data.segments) {
      const at = this.data.speakers.indexOf(segment.speaker);
      context.fillStyle = color(at < 0 ? "--soft" : `--speaker-${at % 6}`);
      context.globalAlpha = segment.judged ? 1 : 0.45;
      const left = x(segment.start);
      const wide = Math.max(1, x(segment.end) - left - 1);
      context.fillRect(left, height - LANE, wide, LANE);
      if (segment.overlap) this.hatch(context, left, height - LANE, wide, color("--ground"));
      context.globalAlpha = 1;
    }
    this.wave.style.color = "";
    this.showPosition();
  }

  drawPeaks(context, width, height, x, color) {
    if (!this.peaks) return;
    const { low, high } = this.peaks;
    const largest = Math.max(0.05, ...high, ...low.map((value) => -value));
    const middle = height / 2;
    const inside = color("--accent");
    const outside = color("--soft");
    for (let column = 0; column < high.length; column += 1) {
      const left = (column / high.length) * width;
      const isInside = left >= x(this.data.item[0]) && left < x(this.data.item[1]);
      context.fillStyle = isInside ? inside : outside;
      const top = middle - (high[column] / largest) * middle;
      const bottom = middle - (low[column] / largest) * middle;
      context.fillRect(left, top, Math.max(1, width / high.length - 0.3), Math.max(1, bottom - top));
    }
  }

  hatch(context, left, top, width, color) {
    context.save();
    context.beginPath();
    context.rect(left, top, width, LANE);
    context.clip();
    context.strokeStyle = color;
    context.lineWidth = 1.5;
    for (let at = left - LANE; at < left + width; at += 5) {
      context.beginPath();
      context.moveTo(at, top + LANE);
      context.lineTo(at + LANE, top);
      context.stroke();
    }
    context.restore();
  }
}
