"""Where the sample shop's customers live: invented names, places and phone ranges of ten countries.

Phone blocks: United States 555-01xx (North American Numbering Plan, reserved for fiction), United Kingdom
Ofcom's numbers for drama, Germany Bundesnetzagentur's numbers for media (landline), France ARCEP's numbers
for audiovisual works. Elsewhere, and for the rest of Germany, mobile blocks that begin with zeros, valid in
form.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Place:
    city: str
    region: str
    postcode: str
    """A pattern: each # stands for a digit, @ for a letter."""


@dataclass(frozen=True, slots=True)
class PhoneBlock:
    """Numbers as dialled inside the country: `area` with its trunk prefix, `start`, then `digits` digits."""

    area: str
    start: str
    digits: int


@dataclass(frozen=True, slots=True)
class Consent:
    """Shares of customers who granted or refused; the rest were never asked."""

    granted: float
    denied: float


@dataclass(frozen=True, slots=True)
class Country:
    """`share` of customers; `loyalty` and `basket` are times the average purchase rate and order value."""

    code: str
    share: float
    loyalty: float
    basket: float
    currency: str
    calling_code: str
    trunk: str
    phones: tuple[PhoneBlock, ...]
    consent: Consent
    places: tuple[Place, ...]
    first_names: tuple[str, ...]
    last_names: tuple[str, ...]


def _names(text: str) -> tuple[str, ...]:
    return tuple(name.strip() for name in text.split(","))


def _blocks(prefixes: str, digits: int) -> tuple[PhoneBlock, ...]:
    """From "AREA-START AREA-START …"."""
    pairs = (prefix.split("-") for prefix in prefixes.split())
    return tuple(PhoneBlock(area, start, digits) for area, start in pairs)


_GERMAN_FIRST = _names(
    "Lena, Jonas, Mara, Felix, Greta, Anton, Ida, Moritz, Frieda, Emil, Käthe, Jürgen, Björn, Sören, Änne, "
    "Theo, Ronja, Till, Wiebke, Henrik, Anneliese, Karl-Heinz, Zoë, Nele"
)

COUNTRIES: tuple[Country, ...] = (
    Country(
        code="DE",
        share=0.50,
        loyalty=1.0,
        basket=1.0,
        currency="EUR",
        calling_code="49",
        trunk="0",
        phones=(
            *_blocks("030-23125 069-90009 040-66969 0221-4710 089-99998", 3),
            *_blocks("0152-1000 0157-9000 0160-2000 0172-1000", 4),
        ),
        consent=Consent(0.80, 0.13),
        places=(
            Place("Berlin", "Berlin", "10###"),
            Place("Hamburg", "Hamburg", "20###"),
            Place("München", "Bayern", "80###"),
            Place("Köln", "Nordrhein-Westfalen", "50###"),
            Place("Frankfurt am Main", "Hessen", "60###"),
            Place("Dresden", "Sachsen", "01###"),
            Place("Freiburg im Breisgau", "Baden-Württemberg", "79###"),
            Place("Göttingen", "Niedersachsen", "37###"),
        ),
        first_names=_GERMAN_FIRST,
        last_names=_names(
            "Moosberger, Lindacker, Haferkamp-Stöhr, Weißenfeld, Brückmoser, Tannhuber, Kieselbach, "
            "Ährenwald, Fuchslocher, Steinäcker, von der Alm, Großkopp, Wiesengrün, Quellbrunn, Dornhäuser, "
            "Eschenloh, Rübsamer, Holzapfler, Nebelung, Vogelsanger, Kranewitz, Zirbelmann, Möwius, Talhofer"
        ),
    ),
    Country(
        code="AT",
        share=0.10,
        loyalty=1.15,
        basket=1.05,
        currency="EUR",
        calling_code="43",
        trunk="0",
        phones=_blocks("0664-000 0676-000 0699-000 0660-000", 4),
        consent=Consent(0.78, 0.14),
        places=(
            Place("Wien", "Wien", "10#0"),
            Place("Innsbruck", "Tirol", "60#0"),
            Place("Graz", "Steiermark", "80#0"),
            Place("Salzburg", "Salzburg", "50#0"),
        ),
        first_names=_GERMAN_FIRST,
        last_names=_names(
            "Almrauscher, Gipfelmoser, Hüttenegger, Lärchner, Schneeberger-Ott, Wildbacher, Zapfenreiter, "
            "Kogelnigg, Oberfels, Brandstöckl, Moosleithner, Enzianer"
        ),
    ),
    Country(
        code="CH",
        share=0.08,
        loyalty=1.25,
        basket=1.40,
        currency="CHF",
        calling_code="41",
        trunk="0",
        phones=_blocks("076-000 077-000 078-000 079-000", 4),
        consent=Consent(0.76, 0.12),
        places=(
            Place("Zürich", "Zürich", "80##"),
            Place("Bern", "Bern", "30##"),
            Place("Genève", "Genève", "12##"),
            Place("Lugano", "Ticino", "69##"),
        ),
        first_names=_names("Urs, Reto, Lea, Noé, Chloé, Flurina, Gian, Seraina, Beat, Élodie, Luca, Anaïs"),
        last_names=_names(
            "Bergundthal, Chäsermatt, Firnegger, Gletschi, Rochembeau, D'Arvenne, Spitzhorn, Valmontagne, "
            "Zurfluhmatt, Pizzolari"
        ),
    ),
    Country(
        code="FR",
        share=0.07,
        loyalty=0.85,
        basket=0.95,
        currency="EUR",
        calling_code="33",
        trunk="0",
        phones=_blocks("01-9900 02-6191 03-5301 04-6571 05-3649", 4),
        consent=Consent(0.68, 0.22),
        places=(
            Place("Paris", "Île-de-France", "750##"),
            Place("Lyon", "Auvergne-Rhône-Alpes", "690##"),
            Place("Grenoble", "Auvergne-Rhône-Alpes", "380##"),
            Place("Saint-Étienne", "Auvergne-Rhône-Alpes", "420##"),
        ),
        first_names=_names(
            "Élise, Maël, Anaïs, Rémi, Côme, Léonie, Jean-Loup, Inès, Gaëlle, Tristan, Océane, Benoît"
        ),
        last_names=_names(
            "Montaigret, Boisclairet, L'Hermine, Roquefeuillet, Valbruyère, D'Ormesselle, Pierrelac, "
            "Chèvremont, Sapinot, Le Goëllec"
        ),
    ),
    Country(
        code="NL",
        share=0.06,
        loyalty=1.05,
        basket=0.92,
        currency="EUR",
        calling_code="31",
        trunk="0",
        phones=_blocks("06-1000 06-2000 06-3000 06-4000", 4),
        consent=Consent(0.74, 0.18),
        places=(
            Place("Amsterdam", "Noord-Holland", "10## @@"),
            Place("Utrecht", "Utrecht", "35## @@"),
            Place("'s-Hertogenbosch", "Noord-Brabant", "52## @@"),
        ),
        first_names=_names("Sanne, Daan, Fenna, Joris, Maartje, Thijs, Loïs, Bram, Anouk, Jurriën"),
        last_names=_names(
            "van der Duinen, de Windmeer, Polderink, ter Heuvelmans, Groenewaard, 't Veenhof, Zeewolden, "
            "IJsbrandink"
        ),
    ),
    Country(
        code="GB",
        share=0.06,
        loyalty=0.95,
        basket=1.0,
        currency="GBP",
        calling_code="44",
        trunk="0",
        phones=_blocks(
            "020-79460 0161-4960 0121-4960 0113-4960 0114-4960 0116-4960 0117-4960 0118-4960 0131-4960 "
            "0141-4960 0151-4960 0191-4980 028-96496 029-20180",
            3,
        ),
        consent=Consent(0.75, 0.15),
        places=(
            Place("London", "Greater London", "SW1# #@@"),
            Place("Manchester", "Greater Manchester", "M1# #@@"),
            Place("Edinburgh", "Midlothian", "EH1# #@@"),
            Place("Stoke-on-Trent", "Staffordshire", "ST4 #@@"),
        ),
        first_names=_names("Maisie, Alfie, Rhys, Imogen, Siân, Callum, Niamh, Barnaby, Freya, Dougal"),
        last_names=_names(
            "O'Fernley, Thistlemoor, Crag-Hollins, Wetherbank, MacFellan, Brackenridge, Fellsworth, "
            "Peatling, Heathercote, Dalewick"
        ),
    ),
    Country(
        code="US",
        share=0.05,
        loyalty=0.70,
        basket=1.15,
        currency="USD",
        calling_code="1",
        trunk="",
        phones=_blocks(
            " ".join(
                f"{area}-55501"
                for area in (
                    "202 205 206 207 208 212 213 214 215 216 217 218 219 224 225 301 302 303 304 305 307 308 "
                    "309 310 312 313 314 315 316 317 318 319 401 402 404 405 406 407 408 409 410 412 413 414 "
                    "415 501 502 503 504 505 507 508 509 510 512 602 603 605 606 607 608 609 612 617"
                ).split()
            ),
            2,
        ),
        consent=Consent(0.28, 0.05),
        places=(
            Place("Denver", "CO", "802##"),
            Place("Portland", "OR", "972##"),
            Place("Seattle", "WA", "981##"),
            Place("Salt Lake City", "UT", "841##"),
            Place("St. Paul", "MN", "551##"),
        ),
        first_names=_names("Harper, Mason, Aubrey, Wyatt, Ximena, DeShawn, Skylar, Beau, Jolene, Mateo"),
        last_names=_names(
            "Ridgewell, Canyonfield, O'Pinewood, St. Claremont, Boulderson, Lakewright, Summitville Jr., "
            "Cedarholm, Trailor, Nuñez-Prairie"
        ),
    ),
    Country(
        code="IT",
        share=0.03,
        loyalty=0.80,
        basket=0.90,
        currency="EUR",
        calling_code="39",
        trunk="",
        phones=_blocks("320-000 328-000 333-000 347-000", 4),
        consent=Consent(0.66, 0.20),
        places=(
            Place("Milano", "Lombardia", "201##"),
            Place("Bolzano", "Trentino-Alto Adige", "391##"),
            Place("L'Aquila", "Abruzzo", "671##"),
        ),
        first_names=_names("Giada, Elia, Niccolò, Ginevra, Tommaso, Noemi, Ludovica, Ettore"),
        last_names=_names(
            "D'Abetone, Montelungo, Pietraviva, Roccascura, Dell'Orsa, Larìcini, Sentieri Alti"
        ),
    ),
    Country(
        code="ES",
        share=0.02,
        loyalty=0.70,
        basket=0.82,
        currency="EUR",
        calling_code="34",
        trunk="",
        phones=_blocks("600-00 612-00 622-00 655-00", 4),
        consent=Consent(0.67, 0.20),
        places=(
            Place("Madrid", "Madrid", "280##"),
            Place("Barcelona", "Cataluña", "080##"),
            Place("A Coruña", "Galicia", "150##"),
        ),
        first_names=_names("Nuria, Íñigo, Begoña, Álvaro, Jimena, Raúl, Lucía, Ximo"),
        last_names=_names(
            "Montañés Ríoseco, Peñalarga, Sierralta, Del Robledal, Ibáñez-Cumbre, Nieveros, Campoalto"
        ),
    ),
    Country(
        code="PL",
        share=0.03,
        loyalty=0.95,
        basket=0.60,
        currency="PLN",
        calling_code="48",
        trunk="",
        phones=_blocks("500-00 512-00 600-00 660-00", 4),
        consent=Consent(0.72, 0.18),
        places=(
            Place("Warszawa", "mazowieckie", "00-###"),
            Place("Kraków", "małopolskie", "30-###"),
            Place("Łódź", "łódzkie", "90-###"),
        ),
        first_names=_names("Agnieszka, Łukasz, Małgorzata, Stanisław, Żaneta, Bogumił, Zofia, Święta"),
        last_names=_names("Górzyńska, Leśniczak, Śnieżewski, Brzozowiak, Źródlany, Halniak, Ćwierkała"),
    ),
)

FOREIGN_NAMES: tuple[tuple[str, str], ...] = (
    ("Мирослава", "Ветрова"),
    ("Євген", "Полонинський"),
    ("雪梅", "林山"),
    ("さくら", "風間"),
    ("민준", "한빛"),
    ("Ελπίδα", "Ανεμογιάννη"),
    ("نور", "البحري"),
    ("İpek", "Yıldıztepe"),
    ("Þórdís", "Fjallsdóttir"),
    ("Ngọc Ánh", "Trường Sơn"),
)
"""Names in other scripts than their country's, which any shop has."""
