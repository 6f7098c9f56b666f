// What an answer tells of the contact with the server: when it was, and how far the tablet's clock is off.

/** When the server was heard, and how far the tablet's clock is ahead of it, in seconds. @param {{server_time: string}} answer */
export function contacted({ server_time }) {
  const now = new Date();
  return { at: now.toISOString(), offset: Math.round((now.getTime() - Date.parse(server_time)) / 1000) };
}

/** The server was heard by another way, without its clock: that stands as it did. @param {{offset: number}} [before] */
export const heardNow = (before) => ({ at: new Date().toISOString(), offset: before ? before.offset : 0 });
