# CustomCommitCode of a scrip: condition "On Create", action "User Defined", template "Blank".
# CHANGERISK_URL and CHANGERISK_KEY are in the environment of RT's server.
use JSON ();
use LWP::UserAgent ();

my $ticket = $self->TicketObj;
my %fields;
my $defined = $ticket->CustomFields;
while ( my $field = $defined->Next ) {
    $fields{ $field->Name } = $ticket->FirstCustomFieldValue( $field->Name ) // '';
}
my $body = JSON::encode_json({
    id           => $ticket->Id,
    Subject      => $ticket->Subject,
    Status       => $ticket->Status,
    Queue        => $ticket->QueueObj->Name,
    Owner        => $ticket->OwnerObj->Name,
    Requestor    => $ticket->RequestorAddresses,
    Created      => $ticket->CreatedObj->W3CDTF,
    Starts       => $ticket->StartsObj->W3CDTF,
    Due          => $ticket->DueObj->W3CDTF,
    Description  => eval { $ticket->Transactions->First->Content } // '',
    CustomFields => \%fields,
});
my $reply = LWP::UserAgent->new( timeout => 3 )->post(
    "$ENV{CHANGERISK_URL}/v1/webhooks/rt",
    'Content-Type' => 'application/json',
    Authorization  => "Bearer $ENV{CHANGERISK_KEY}",
    Content        => $body,
);
my $answer = $reply->is_success ? eval { JSON::decode_json( $reply->decoded_content ) } : undef;
if ( !$answer || !defined $answer->{incident_probability} ) {
    RT->Logger->warning( 'changerisk: no score for ' . $ticket->Id . ': ' . $reply->status_line );
    return 1;    # the ticket goes on without a score
}
my %said = (
    'Incident probability' => sprintf( '%.4f', $answer->{incident_probability} ),
    'Incident band'        => $answer->{risk_band},
);
for my $name ( keys %said ) {
    $ticket->AddCustomFieldValue( Field => $name, Value => $said{$name}, RecordTransaction => 0 );
}
my @top = grep { defined } map { $_->{text} } @{ $answer->{factors} }[ 0 .. 2 ];
$ticket->Comment( Content => join "\n", $answer->{summary}, @top );
return 1;
