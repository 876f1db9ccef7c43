'use strict';

// How many calls are open, who waits for room, and who waits for the end.

const { Closed, QueueFull } = require('./errors');

const immediate = () => new Promise((resolve) => setImmediate(resolve));

class Gate {
  #most;
  #open = 0;
  #entered = 0;
  #closed = false;
  // Rooms that ready() has promised, to calls that come at once or never.
  #promised = 0;
  #waiting = [];
  #drains = [];

  constructor(most) {
    this.#most = most;
  }

  get open() {
    return this.#open;
  }

  // A call begins, or is refused.  What is returned goes to leave().
  enter() {
    if (this.#closed) throw closed();
    if (this.#open >= this.#most)
      throw new QueueFull(`${this.#open} calls are open, which is the most that maxQueued allows`, {
        hint: 'Wait for ready() before each call.',
      });
    if (this.#promised > 0) this.#promised--;
    this.#open++;
    return this.#entered++;
  }

  leave(number) {
    this.#open--;
    for (const drain of this.#drains) if (number < drain.before && --drain.left === 0) drain.resolve();
    if (this.#drains.length > 0) this.#drains = this.#drains.filter(({ left }) => left > 0);
    this.#admit();
  }

  async ready() {
    if (this.#closed) throw closed();
    await new Promise((resolve, reject) => {
      this.#waiting.push({ resolve, reject });
      this.#admit();
    });
  }

  #admit() {
    while (this.#waiting.length > 0 && this.#open + this.#promised < this.#most) {
      // Whoever was told has called, or will not, when the event loop goes on.
      if (this.#promised++ === 0)
        setImmediate(() => {
          this.#promised = 0;
          this.#admit();
        });
      this.#waiting.shift().resolve();
    }
  }

  // Resolves after the callers have got what they called for.
  async flush() {
    if (this.#open === 0) return;
    await new Promise((resolve) => this.#drains.push({ before: this.#entered, left: this.#open, resolve }));
    await immediate();
  }

  close() {
    this.#closed = true;
    for (const { reject } of this.#waiting.splice(0)) reject(closed());
    return this.flush();
  }
}

function closed() {
  return new Closed('the client is closed');
}

module.exports = { Gate };
