// The screens by their names in the address.

import { absent } from "./absent.js";
import { aid } from "./aid.js";
import { child } from "./child.js";
import { cadres } from "./cadres.js";
import { copies } from "./copies.js";
import { edit } from "./edit.js";
import { enrol } from "./enrol.js";
import { help } from "./help.js";
import { measure } from "./measure.js";
import { more } from "./more.js";
import { move } from "./move.js";
import { newPin } from "./new_pin.js";
import { picture } from "./picture.js";
import { questions } from "./questions.js";
import { recap } from "./recap.js";
import { result } from "./result.js";
import { scan } from "./scan.js";
import { schedule } from "./schedule.js";
import { send } from "./send.js";
import { today } from "./today.js";
import { unlock } from "./unlock.js";
import { wrongDay } from "./wrong_day.js";
import { visits } from "./visits.js";

export const SCREENS = {
  daftar: enrol,
  buka: unlock,
  "hari-ini": today,
  anak: child,
  ubah: edit,
  baru: edit,
  ukur: measure,
  pindah: move,
  "ubah-tanggal": wrongDay,
  hasil: result,
  gambar: picture,
  "belum-datang": absent,
  kunjungan: visits,
  rekap: recap,
  pertanyaan: questions,
  jadwal: schedule,
  pindai: scan,
  kirim: send,
  lainnya: more,
  salinan: copies,
  kader: cadres,
  "pin-baru": newPin,
  bantuan: help,
  "bantuan-anak": aid,
};
