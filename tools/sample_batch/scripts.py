"""What is said in the episodes, and by whom. The texts were written for this project (CC0-1.0); all of it is invented."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Line:
    """What `speaker` says at a stretch. `gap`: seconds after the end of the line before; negative where they overlap."""

    speaker: str
    text: str
    gap: float = 0.4


@dataclass(frozen=True)
class Jingle:
    """The jingle of the show. `gap` as in Line."""

    gap: float = 0.4


@dataclass(frozen=True)
class Script:
    """An episode. `voices`: speaker → voice of Kokoro."""

    stem: str
    extension: str
    title: str
    podcast: str
    published: str
    voices: dict[str, str]
    lines: tuple[Line | Jingle, ...]


SCIENCE, TOWN = "Small Talk About Science", "City Light"

ADVERTISEMENT = Line(
    "advertisement",
    "This show is supported by the Maple Lane Bakery. Fresh bread every morning, from flour that is milled around the"
    " corner. Come in while it is still warm.",
    gap=0.6,
)
ADVERTISEMENT_VOICE = "bf_isabella"
"""The same recording in two episodes."""

OBSERVATORY = Script(
    "night-science",
    "mp3",
    "A night at the observatory",
    SCIENCE,
    "2026-01-08",
    {"host": "af_heart", "astronomer": "bm_george", "advertisement": ADVERTISEMENT_VOICE},
    (
        Jingle(),
        Line(
            "host",
            "Welcome to Small Talk About Science. My guest today is an astronomer who goes to work when everyone else"
            " goes to bed.",
        ),
        Line("astronomer", "Good evening. Or should I say, good morning?"),
        Line("host", "What does a normal night look like for you?"),
        Line(
            "astronomer",
            "We open the dome at sunset, and then we wait for the sky to grow dark. After that, the telescope does most"
            " of the work. I watch the weather, and I drink far too much coffee.",
        ),
        Line("host", "And what do you do when the clouds come in?", gap=0.3),
        Line(
            "astronomer",
            "Then we close the dome and clean the mirror. Nobody likes clouds, except the mirror.",
            gap=-0.2,
        ),
        ADVERTISEMENT,
        Line("host", "Back to the dome. What keeps you going after all these years?", gap=0.6),
        Line(
            "astronomer",
            "Once in a while, the computer shows a point of light that was not there the night before. For a few"
            " minutes, I am the only person on Earth who knows about it.",
        ),
        Line("host", "That sounds worth a cold night. Thank you for talking to us."),
        Line("astronomer", "It was a pleasure. Sleep well.", gap=-0.2),
    ),
)

CONCERT_HALL = Script(
    "city-music",
    "m4a",
    "A concert hall in the old tram station",
    TOWN,
    "2026-01-15",
    {"presenter": "bf_emma", "reporter": "am_michael"},
    (
        Line(
            "presenter",
            "Good afternoon. This is City Light, with the news about music in town. The old tram station will open its"
            " doors again next month, this time as a concert hall. Our reporter is standing outside.",
        ),
        Line(
            "reporter",
            "Thank you. Behind me, workers are hanging the last lamps and testing the doors. The hall is small, but the"
            " sound is wonderful. A choir sang here this morning, and people on the street stopped to listen.",
            gap=0.5,
        ),
        Line("presenter", "How much will a ticket cost?"),
        Line(
            "reporter",
            "Less than a meal in a restaurant, says the mayor. Children and students get in free on Sundays.",
        ),
        Line("presenter", "And the people who live next door? Are they worried about the noise?"),
        Line(
            "reporter",
            "Some of them were. The builders have put thick glass in every window, and the music has to stop before"
            " midnight.",
        ),
        Line(
            "presenter",
            "In other news, buses will run later on weekends this summer, so that everyone gets home after the show."
            " That was City Light. We'll be back tomorrow at noon.",
            gap=0.6,
        ),
    ),
)

FARM = Script(
    "future-food",
    "mp4",
    "Farms without soil",
    SCIENCE,
    "2026-01-22",
    {"host": "af_heart", "engineer": "am_fenrir", "advertisement": ADVERTISEMENT_VOICE},
    (
        Jingle(),
        Line(
            "host", "Hello, and welcome back. Today we talk about farms without soil. You build them. How do they work?"
        ),
        Line(
            "engineer",
            "The plants stand in trays, and their roots hang in the air. A pump sprays them with water and minerals"
            " every few minutes.",
        ),
        Line("host", "Why go to all that trouble?"),
        Line(
            "engineer",
            "Because it saves water. What the roots don't drink runs back into the tank, and we use it again. A field"
            " loses most of its water to the sun and the ground.",
        ),
        Line("host", "And all the light they need comes from lamps?", gap=0.3),
        Line(
            "engineer",
            "Yes, from red and blue lamps. That is our biggest cost. We switch them on at night, when power is cheap.",
            gap=-0.2,
        ),
        ADVERTISEMENT,
        Line("host", "Which plants like it best?", gap=0.6),
        Line(
            "engineer",
            "Lettuce, herbs and strawberries. Wheat is much harder. It needs so much light that the bread would cost a"
            " fortune.",
        ),
        Line("host", "So the bakery is safe for now."),
        Line("engineer", "For now, yes. Ask me again in a few years.", gap=-0.2),
    ),
)

RIVER = Script(
    "water-history",
    "opus",
    "The town that turned its back on its river",
    TOWN,
    "2026-01-29",
    {"narrator": "bm_fable", "neighbor": "af_bella"},
    (
        Line(
            "narrator",
            "This is the story of a town and its river. For as long as anyone could remember, people washed their"
            " clothes in it, caught fish in it, and learned to swim in it.",
        ),
        Line("neighbor", "My grandmother used to say that the river was our main street. You met everybody there."),
        Line(
            "narrator",
            "Then the factory came. The water turned brown, then orange, and the fish were gone within a summer. New"
            " houses were built with their windows facing the other way.",
            gap=0.6,
        ),
        Line(
            "neighbor",
            "I was a child, and I was told never to touch the water. We held our noses when we crossed the bridge.",
        ),
        Line(
            "narrator",
            "One winter, the factory closed. It was a teacher who noticed the birds. First there was a single heron,"
            " standing in the shallow water, and by spring there was a whole family.",
            gap=0.6,
        ),
        Line("neighbor", "We took our shoes off and walked in. It was freezing, and we laughed like children."),
        Line("narrator", "Today, the town has a beach, and its windows face the water again.", gap=0.6),
    ),
)

MORNING_SHOW = Script(
    "morning-team",
    "mp3",
    "The rooster next door",
    TOWN,
    "2026-02-05",
    {"presenter": "bf_emma", "Sam": "am_michael", "Julia": "af_bella"},
    (
        Line(
            "presenter",
            "Good morning, you are listening to the morning team. It's cold outside, the coffee is hot, and Sam and"
            " Julia are here with me.",
        ),
        Line("Sam", "Good morning. I came by bicycle, and I can't feel my fingers."),
        Line("Julia", "I took the bus, like a sensible person. Good morning, everyone."),
        Line("presenter", "Sam, you have a question for our listeners."),
        Line(
            "Sam",
            "I do. My neighbor has a rooster, and it wakes up before the sun does. Should I talk to him, or should I buy"
            " a rooster of my own and fight back?",
        ),
        Line("Julia", "Please, don't buy a rooster.", gap=-0.2),
        Line(
            "presenter",
            "Let's ask the people at home. Call us and tell us what you would do. Julia, how are the roads?",
        ),
        Line(
            "Julia",
            "Slow around the bridge, because a truck lost a load of apples there. Nobody is hurt, and the children on"
            " their way to school are very happy.",
        ),
        Line("Sam", "Free breakfast for everyone."),
        Line(
            "presenter",
            "The rain will stop before lunch, and the afternoon will be dry, with a little sun. Now some music, and"
            " after that, we'll hear what you think about the rooster.",
        ),
    ),
)
"""The last part of this file is cut off."""

SCRIPTS = (OBSERVATORY, CONCERT_HALL, FARM, RIVER, MORNING_SHOW)
