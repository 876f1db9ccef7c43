'use strict';

// A queue whose items are sent in batches, without a timer: what has come
// together while the last batch was under way is the next one.

const immediate = () => new Promise((resolve) => setImmediate(resolve));

class Queue {
  #send;
  #lanes;
  #room;
  #idle;
  #items = [];
  #running = 0;

  // "send" gets a batch and never rejects.  "idle" is called when nothing is
  // left to do.  An item may weigh more than 1; a batch weighs at most "room".
  constructor({ send, lanes, room, idle }) {
    this.#send = send;
    this.#lanes = lanes;
    this.#room = room;
    this.#idle = idle;
  }

  push(item) {
    this.#items.push(item);
    if (this.#running < this.#lanes) this.#run();
  }

  async #run() {
    this.#running++;
    // Everything that the answers to the last batch have set going, and what
    // else has arrived, joins the next batch.
    for (await immediate(); this.#items.length > 0; await immediate()) await this.#send(this.#take());
    this.#running--;
    if (this.#running === 0) this.#idle();
  }

  #take() {
    let count = 0;

    for (let weight = 0; count < this.#items.length; count++) {
      weight += this.#items[count].weight;
      if (weight > this.#room && count > 0) break;
    }
    return this.#items.splice(0, count);
  }
}

module.exports = { Queue };
