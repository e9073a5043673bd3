"""Test lines for the tokenizer: many scripts, emoji, control characters, invalid UTF-8, long runs, special tokens as text."""

import random

SENTENCES = """
The quick brown fox jumps over the lazy dog. How many red circles are above the blue triangle?
Der schnelle braune Fuchs springt über den faulen Hund; größer als Öl, süßer als Äpfel.
Le cœur déçu mais l'âme plutôt naïve, Louÿs rêva de crapaüter en canoë au delà des îles.
El pingüino Wenceslao hizo kilómetros bajo exhaustiva lluvia y frío; ¿añoraba a su querido cachorro?
Quel vituperabile xenofobo zelante assaggia il whisky ed esclama: alleluja! Perché no?
À noite, vovô Kowalsky vê o ímã cair no pé do pinguim queixoso e vovó põe açúcar no chá.
Pchnąć w tę łódź jeża lub ośm skrzyń fig. Zażółć gęślą jaźń.
Příliš žluťoučký kůň úpěl ďábelské ódy. Nechť již hříšné saxofony ďáblů rozezvučí síň.
Árvíztűrő tükörfúrógép; jó foxim és don Quijote húszwattos lámpánál ülve egy pár bűvös cipőt készít.
Съешь же ещё этих мягких французских булок, да выпей чаю. Сколько красных кругов на картинке?
Жебракують філософи при ґанку церкви в Гадячі, ще й шатро їхнє п'яне знаємо.
Ξεσκεπάζω την ψυχοφθόρα βδελυγμία. Πόσοι κόκκινοι κύκλοι υπάρχουν;
دیدن کی هزار بار به از شنیدن است. نص حكيم له سر قاطع وذو شأن عظيم مكتوب على ثوب أخضر
דג סקרן שט בים מאוכזב ולפתע מצא חברה. כמה עיגולים אדומים יש בתמונה?
ऋषियों को सताने वाले दुष्ट राक्षसों के राजा रावण का सर्वनाश करने वाले विष्णुवतार भगवान श्रीराम।
আমি বাংলায় গান গাই। ছবিতে কয়টি লাল বৃত্ত আছে?
யாமறிந்த மொழிகளிலே தமிழ்மொழி போல் இனிதாவது எங்கும் காணோம்.
ఆంధ్రప్రదేశ్ రాజధాని అమరావతి. చిత్రంలో ఎన్ని ఎర్ర వృత్తాలు ఉన్నాయి?
ประเทศไทยมีภาษาไทยเป็นภาษาราชการ ในภาพมีวงกลมสีแดงกี่วง
ພາສາລາວ ແມ່ນພາສາທາງການຂອງ ສປປ ລາວ
မြန်မာဘာသာစကားသည် မြန်မာနိုင်ငံ၏ ရုံးသုံးဘာသာစကား ဖြစ်သည်။
ភាសាខ្មែរ គឺជាភាសាផ្លូវការនៃប្រទេសកម្ពុជា។
საქართველოს დედაქალაქი თბილისია. Հայաստանի մայրաքաղաքը Երևանն է։
いろはにほへと ちりぬるを わかよたれそ つねならむ。カメラの画像に赤い丸はいくつありますか？
天地玄黄，宇宙洪荒。日月盈昃，辰宿列张。图片里有多少个红色圆圈？繁體中文測試。
키스의 고유조건은 입술끼리 만나야 하고 특별한 기술은 필요치 않다. 빨간 원은 몇 개입니까?
Trăm năm trong cõi người ta, chữ tài chữ mệnh khéo là ghét nhau. Có bao nhiêu hình tròn đỏ?
Pijamalı hasta yağız şoföre çabucak güvendi. İstanbul'da ığdır ılık.
Kæmi ný öxi hér, ykist þjófum nú bæði víl og ádrepa. Høj bly gom vandt fræk sexquiz på wc.
ሰማይ አይታረስ ንጉሥ አይከሰስ። ᐃᓄᒃᑎᑐᑦ ᏣᎳᎩ ꦗꦮ ᠮᠣᠩᠭᠣᠯ ༄༅། བོད་ཡིག
int main(void) { for (size_t i = 0; i < n; i++) { sum += a[i] * b[i]; } return (int)sum; }
def f(x: float) -> float:\treturn x**2 + 3.14159e-10  # comment "quoted" 'text' \\n %s {} $HOME
<table><tr><td>cell</td></tr></table> <h1>Title</h1> <a href="x">link</a> <b>bold</b> &amp; <unknown>
0123456789 1,000,000.50 3.1415926535 0xDEADBEEF 2024-02-29T23:59:59Z +49 (0)30 123456 99.9% ½ ² ³ ① Ⅷ
https://example.org/path?query=value&other=%20#fragment user.name+tag@example.com C:\\Users\\x ~/.config
∀x∈ℝ: ⌈x⌉ = −⌊−x⌋, α ∧ ¬β = ¬(¬α ∨ β), ∑ᵢ₌₁ⁿ i = n(n+1)/2 ≠ ∞ ± √2 ≈ 1.414 €£¥₿ «» „“ ‚‘ … — –
""".strip().split("\n")

EMOJI = ["😀", "😂", "🥹", "❤️", "👍🏽", "👩‍👩‍👧‍👦", "🏳️‍🌈", "🇩🇪", "🇯🇵", "🧑🏿‍🚀", "#️⃣", "🫠", "🐻‍❄️", "✈︎", "🤌🏻", "\U0001FAE8", "☃", "\ufe0f", "\u200d", "🏴\U000E0067\U000E0062\U000E007F"]
CONTROLS = [chr(c) for c in range(32)] + list("\x7f\x80\x85\x9f\xa0\xad\u1680\u2000\u2028\u2029\u200b\u200e\u202e\u2060\u3000\ufeff\ufff9\ufffc\ufffd\ufffe\uffff\u2581")
INVALID = [b"\x80", b"\xbf", b"\xc0\x80", b"\xc1\xbf", b"\xc2", b"\xe0\x80\x80", b"\xe2\x96", b"\xe2", b"\xed\xa0\x80", b"\xed\xbf\xbf", b"\xf0\x80\x80\x80",
           b"\xf0\x9f\x98", b"\xf0\x9f", b"\xf4\x90\x80\x80", b"\xf5\x80\x80\x80", b"\xf8\x88\x80\x80\x80", b"\xfe", b"\xff", b"\xc3(", b"\xe2(\xa1", b"\xf0(\x8c\xbc"]


def words(r):
    text = r.choice(SENTENCES)
    a = r.randrange(len(text))
    return text[a:a + r.randint(1, 80)].encode()


def sentence(r):
    return r.choice(SENTENCES).encode()


def emoji(r):
    return "".join(r.choice(EMOJI) for _ in range(r.randint(1, 6))).encode()


def controls(r):
    return "".join(r.choice(CONTROLS) for _ in range(r.randint(1, 8))).encode()


def invalid(r):
    if r.random() < 0.3:
        return r.randbytes(r.randint(1, 30))
    return b"".join(r.choice(INVALID) for _ in range(r.randint(1, 4)))


def spaces(r):
    return r.choice([b" ", b"\n", b"\t", b"  ", b"\r\n", " \u2581".encode()]) * r.randint(1, 40)


def any_characters(r):
    ranges = [(0x20, 0x7E), (0xA0, 0x24F), (0x370, 0x5FF), (0x900, 0xDFF), (0x3040, 0x30FF), (0x4E00, 0x9FFF), (0xAC00, 0xD7A3), (0xE000, 0xFFFF), (0x10000, 0x10FFFF)]
    low, high = r.choice(ranges)
    return "".join(chr(r.randint(low, high)) for _ in range(r.randint(1, 20))).encode()


def truncated(r):
    text = r.choice(SENTENCES).encode()
    a = r.randrange(len(text))
    return text[a:a + r.randint(1, 25)]


def run(r):
    unit = r.choice([b"a", b"e", b"ab", b"the", b" ", b"\n", b"\t", b"0", b"01", b"\xff", "é".encode(), "の".encode(), "한".encode(), "😀".encode(), b"=", b"-", b"<", b"<b>", b"re", b"hehe",
                     " the".encode(), b" a", b"x ", b"\n ", b"  \n"])
    return unit * r.randint(2, 400)


def lines(pieces, specials, count, seed=1):
    """`count` lines as bytes.  `pieces` and `specials`: texts of ordinary and of special tokens."""
    r = random.Random(seed)

    def some_pieces(r):
        return "".join(r.choice(pieces) for _ in range(r.randint(1, 12))).replace("\u2581", r.choice([" ", "\u2581"])).encode()

    def special(r):
        text = r.choice(specials)
        kind = r.random()
        if kind < 0.2:
            text = text[:r.randint(1, len(text))]
        elif kind < 0.3:
            text = text[0] + text
        elif kind < 0.4:
            text = text.upper()
        return text.encode()

    parts = [(words, 30), (sentence, 12), (emoji, 6), (controls, 6), (invalid, 6), (spaces, 8), (any_characters, 8), (truncated, 6), (some_pieces, 15), (special, 10)]
    kinds, weights = zip(*parts)
    out = [b""] + [s.encode() for s in SENTENCES] + [s.encode() for s in specials] + [p.replace("\u2581", " ").encode() for p in pieces[:400]]
    letters = sorted({c for p in pieces for c in p if len(p) > 1})

    def some_letters(r):
        return "".join(r.choice(letters) for _ in range(r.randint(2, 40))).encode()

    out += [some_letters(r) for _ in range((count - len(out)) // 20)]
    while len(out) < count - 14:
        if r.random() < 0.01:
            out.append(b"".join(r.choice([run(r), words(r)]) for _ in range(r.randint(1, 3))))
        else:
            out.append(b"".join(r.choices(kinds, weights)[0](r) for _ in range(r.choice([1, 1, 2, 3, 5]))))
    # Far longer than any window of the encoder.
    out += [b"a" * 20000, b" " * 20000, b"ab" * 10000, b"\n" * 7001, "の".encode() * 5000, b"\xe2\x96" * 4000, b"0123456789" * 1500]
    out += [b"".join(words(r) for _ in range(400)), b"".join(some_pieces(r) for _ in range(400)), b"".join(any_characters(r) for _ in range(400)), r.randbytes(15000)]
    out += [b"".join(r.choice([b"a", b"b", b"e", b"h", b"t"]) for _ in range(20000)), b"".join(special(r) for _ in range(800)), b"thethere" * 2500]
    assert len(out) == count
    return out
